/* The VMs of the manifest, each by its properties. For manifest.c. Source: manifest_vm.c */
#pragma once

#include "core/manifest_reader.h"

/*
 * Reads the nodes of `group` (negative: there is none) into an array from the heap; the disks were read before. A VM
 * that is wrong says so and keeps its place, refused.
 */
void manifest_read_vms(const void *image, int group, u32 cores, struct manifest *manifest);

/* Refuses VMs with whose budget more is promised than the whole of a core's time, or of all cores' together. */
void manifest_check_budgets(struct manifest *manifest, u32 cores);
