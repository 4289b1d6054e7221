/*
 * The tree is trusted, but a mistake in it ends in a line, not in an exception: what it says is there
 * is looked at before it is used. Boot only. Source: probe.c
 */
#pragma once

#include "core/platform.h"

/* Does memory answer there? */
bool probe_memory(u64 pa, u32 *value);
/* Leaves out banks that do not answer at both ends, and says so. */
void probe_banks(struct platform *platform);
/* Maps a device's registers, one page at most. 0: nothing answers there, and it said so. */
void *probe_device(const char *what, const struct platform_device *device);
