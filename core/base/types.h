/* The words everything else is written in: integers, address kinds, single reads. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weir/status.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

/* Physical, intermediate physical and EL2-virtual addresses: one-field structs, never mixed up. */
typedef struct {
	u64 raw;
} pa_t;
typedef struct {
	u64 raw;
} ipa_t;

#define PA(value)  ((pa_t){ (value) })
#define IPA(value) ((ipa_t){ (value) })

#define PAGE_SIZE  4096ul
#define PAGE_SHIFT 12
#define PAGE_MASK  (PAGE_SIZE - 1)
#define BLOCK_2M   (1ul << 21)
#define KIB	   1024ul
#define MIB	   (1024ul * 1024ul)

#define MAX_PCPUS 8
#define MAX_VMS	  64
#define MAX_VCPUS 16 /* of one VM; 8 on a GICv2 */

/* Made small, not fast, in a file that is not among the Makefile's COLD_SOURCES. */
#define RARE __attribute__((cold))

/* Out of line, so that what is hot where it is called stays small and needs no frame for it. */
#define APART __attribute__((noinline))

/* Called by the vectors alone, and never by its address: it needs no landing pad (BTI). It may have no table of
 * jumps, then, which gcc and clang make of a switch: tools/check-fp looks. */
#if defined(__aarch64__)
#define VECTOR __attribute__((target("branch-protection=none")))
#else
#define VECTOR
#endif

#define BIT(n)				    (1ul << (n))
#define ARRAY_SIZE(array)		    (sizeof(array) / sizeof((array)[0]))
#define align_up(value, to)		    (((value) + ((to)-1)) & ~((u64)(to)-1))
#define align_down(value, to)		    ((value) & ~((u64)(to)-1))
#define min(a, b)			    ((a) < (b) ? (a) : (b))
#define max(a, b)			    ((a) > (b) ? (a) : (b))
#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* Reads a word that a guest may be writing exactly once; check the copy. */
#define read_once(word)		(*(const volatile __typeof__(word) *)&(word))
#define write_once(word, value) (*(volatile __typeof__(word) *)&(word) = (value))

/* An index that was bound-checked, masked so that a mispredicted check cannot read past `size`. */
static inline __attribute__((always_inline)) u64 index_nospec(u64 index, u64 size)
{
	u64 mask;

	/* Hidden, or the compiler concludes from the check that the mask is all ones. */
	__asm__("" : "+r"(index));
	if (__builtin_constant_p(size) && !(size & (size - 1)))
		return index & (size - 1);
	mask = -((index - size) >> 63);
	__asm__("" : "+r"(mask));
	return index & mask;
}
