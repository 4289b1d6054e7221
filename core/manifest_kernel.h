/* The kernel of a VM as the manifest has it. Source: manifest_kernel.c */
#pragma once

#include "core/manifest_reader.h"

/*
 * Says what is wrong with the file, if it is no kernel; sets `load_offset` and `raw`. Returns how many bytes it needs
 * there.
 */
u64 manifest_place_kernel(struct reader *reader, struct manifest_vm *vm);
