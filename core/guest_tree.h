/* Writes the device tree of a VM with libfdt, at boot. Source: guest_tree.c */
#pragma once

#include "core/platform.h"
#include "core/vm.h"

/*
 * Makes the tree of `vm` (its own from the manifest, or generated) in `buffer`; `ramdisk` is where
 * the ramdisk will be. Returns its size, 0 if `size` is too small or the VM's own tree is broken
 * (said why).
 */
u32 guest_tree_write(const struct vm *vm, struct range ramdisk, void *buffer, u32 size);
/* Replaces the rng-seed in a written tree; plain search, no libfdt (a guest may be running). */
void guest_tree_reseed(void *tree, u32 bytes);
