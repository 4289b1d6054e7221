/* Writes the device tree of a VM with libfdt, at boot. Source: guest_tree.c */
#pragma once

#include "core/platform.h"

struct vm;

/* Where a seed is in a tree; 0 bytes: it has none. Of random numbers, and of the kernel's address. */
struct guest_seed {
	u8 *data;
	u32 bytes;
};
#define GUEST_SEEDS 2u

/*
 * Makes the tree of `vm` (its own from the manifest, or generated) in `buffer`; `ramdisk` is where
 * the ramdisk will be. Returns its size, 0 if `size` is too small or the VM's own tree is broken
 * (said why).
 */
u32 guest_tree_write(const struct vm *vm, struct range ramdisk, void *buffer, u32 size);
/* Where /chosen/rng-seed and kaslr-seed are in a written tree, which has zeroes there. Boot. */
void guest_tree_find_seeds(void *tree, struct guest_seed seed[GUEST_SEEDS]);
/* Other seeds, before each life: it needs no libfdt, which is for boot only. */
void guest_tree_reseed(const struct guest_seed seed[GUEST_SEEDS]);
