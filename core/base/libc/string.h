/* <string.h> for libfdt's headers: no C library is needed to build Weir. */
#pragma once

#include "core/base/string.h"
