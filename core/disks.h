/* The disks of the machine. Source: disks.c */
#pragma once

#include "core/platform.h"

/* Boot core, when interrupts of devices can be served: drivers for what the tree names, disks numbered by
 * kind and address. Waits, bounded, for cards to answer. */
void disks_find(const struct platform *platform);
