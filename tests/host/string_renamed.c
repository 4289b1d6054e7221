/* core/base/string.c under names that do not stand in the way of the C library's. */
#define memchr	own_memchr
#define memcmp	own_memcmp
#define memcpy	own_memcpy
#define memmove own_memmove
#define memset	own_memset
#define strchr	own_strchr
#define strcmp	own_strcmp
#define strncmp own_strncmp
#define strlen	own_strlen
#define strnlen own_strnlen
#define strrchr own_strrchr

#include "core/base/string.c"
