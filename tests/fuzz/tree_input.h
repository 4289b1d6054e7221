/* Device trees as input (tree_input.c). */
#pragma once

#include "core/base/types.h"

/* Names of nodes and properties, and texts, that the program knows; the last is 0. None over 60 bytes. */
extern const char *const tree_words[];
