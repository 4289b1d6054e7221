/*
 * What the distributors of GICv2 and GICv3 have in common (IHI 0048 4.3, IHI 0069 12.9), and so has the second frame of
 * a GICv3's redistributor for its core's SGIs and PPIs; only gic_v2.c and gic_v3.c include this. Source:
 * gic_distributor.c
 */
#pragma once

#include "core/base/types.h"

#define GICD_CTLR	0x000
#define GICD_TYPER	0x004
#define GICD_IGROUPR	0x080
#define GICD_ISENABLER	0x100
#define GICD_ICENABLER	0x180
#define GICD_ICPENDR	0x280
#define GICD_ISACTIVER	0x300
#define GICD_ICACTIVER	0x380
#define GICD_IPRIORITYR 0x400
#define GICD_ICFGR	0xc00

/* How many INTIDs there are, by GICD_TYPER. */
u32 gic_distributor_count(const void *distributor);

/*
 * Interrupts first, first + 1, ... (a multiple of 32) up to `count`: in that group (a word of GICD_IGROUPR), disabled,
 * neither pending nor active, all of one priority; SPIs are level-sensitive.
 */
void gic_distributor_reset(void *frame, u32 first, u32 count, u32 group);

/* Level or edge; not of an SGI. */
void gic_distributor_config(void *frame, u32 intid, bool edge);
