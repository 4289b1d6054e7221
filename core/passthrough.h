/*
 * Passthrough: devices of the machine that the manifest gives to one VM by naming their nodes
 * (`devices`). The VM has the registers at their physical addresses, and the interrupts by their
 * own numbers.
 *
 * Read-only after boot. Source: passthrough.c. Tests: tests/host/test_passthrough.c,
 * tests/guest/passthrough_rtc.c, passthrough_timer.c
 */
#pragma once

#include "core/manifest.h"
#include "core/platform.h"

struct vm;

#define PASSED_FRAMES	  4u  /* one of them to see that there are too many */
#define PASSED_PAGES	  64u /* of a frame: what one step of a VM's life maps stays bounded */
#define PASSED_INTERRUPTS 8u

struct passed {
	struct manifest_vm *vm;
	const char *path; /* as the manifest has it */
	const void *tree; /* the machine's, which is kept */
	int node;
	struct range frame[PASSED_FRAMES]; /* registers; page-aligned, and alone in their pages */
	u32 frames;
	u32 intid[PASSED_INTERRUPTS];
	bool edge[PASSED_INTERRUPTS];
	u32 interrupts;
	char neighbours[80]; /* what has an interrupt of it, or registers in a page; "": nothing */
};

/* Bytes of a device tree that mean something; QEMU pads it to 1 MiB. */
u64 passthrough_tree_bytes(const void *tree);

/*
 * Finds what the manifest names in the machine's tree, which must stay where it is. A VM that names
 * what cannot be given to it is refused, and a line says why. Boot core.
 */
void passthrough_find(const void *tree, const struct platform *platform, struct manifest *manifest);

/*
 * When the VM has its memory: makes the tables of stage 2 for its devices. False: something else of
 * the VM is at their addresses, and a line said what. Boot core.
 */
bool passthrough_prepare(struct vm *vm);

/*
 * One device is given to the VM, or taken from it; false: there is no more. A step of the VM's life,
 * in which none of its vCPUs runs.
 */
bool passthrough_step(struct vm *vm, bool give);
