/* Writes the device tree of a VM with libfdt, at boot. Source: guest_tree.c */
#pragma once

#include "core/platform.h"

struct vm;

/* Where the seed is in a tree; 0 bytes: it has none. */
struct guest_seed {
	u8 *data;
	u32 bytes;
};

/*
 * Makes the tree of `vm` (its own from the manifest, or generated) in `buffer`; `ramdisk` is where
 * the ramdisk will be. Returns its size, 0 if `size` is too small or the VM's own tree is broken
 * (said why).
 */
u32 guest_tree_write(const struct vm *vm, struct range ramdisk, void *buffer, u32 size);
/* Where /chosen/rng-seed is in a written tree. Boot. */
struct guest_seed guest_tree_seed(void *tree);
/* Another seed, at any time: it needs no libfdt, which is for boot only. */
void guest_tree_reseed(struct guest_seed seed);
