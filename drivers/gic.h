/*
 * The physical interrupt controller: GICv2 (IHI 0048) or GICv3 (IHI 0069), found by `compatible`.
 * Priority drop and deactivation are separate (EOImode 1): the virtual timer's interrupt, which is
 * handed to a guest, stays active until the guest deactivates it through its list register.
 *
 * Source: gic.c (choice), gic_v2.c, gic_v3.c. Locks: the distributor is written at boot, and later
 * only by single-write registers.
 */
#pragma once

#include "core/base/types.h"

#define GIC_SGI_KICK	      0u
#define GIC_MAINTENANCE_INTID 25u
#define GIC_SPURIOUS	      1020u /* this and above: nothing to acknowledge */

struct gic_registers {
	u32 version; /* 2 or 3 */
	pa_t distributor;
	u64 distributor_bytes;
	pa_t redistributors; /* v3: first frame */
	u64 redistributors_bytes;
	pa_t cpu_interface;	/* v2: GICC */
	pa_t hypervisor;	/* v2: GICH */
	pa_t virtual_interface; /* v2: GICV, mapped into guests */
	u64 virtual_interface_bytes;
};

/* Boot core, once: maps and resets the distributor, and the list registers' frame. False: said why.
 */
bool gic_init(const struct gic_registers *registers);
/*
 * Every core, its list registers included. False, and it said why: this core has no redistributor, or
 * no interrupt reaches it.
 */
bool gic_init_core(void);

/* Is this a frame of that version, by a field of 4 bits of its identification? Boot only. */
bool gic_frame_is(const void *frame, u32 offset, u32 shift, u32 version);
/* Says that a frame is not where the tree has it. */
bool gic_complain(const char *frame, pa_t base);

u32 gic_version(void);

#define GICV2_CPUS 8u /* and interfaces (IHI 0048, 1.3) */

/*
 * This core acknowledges: INTID, or >= GIC_SPURIOUS. The caller owes gic_drop() for each INTID, and
 * gic_deactivate() too unless it passes the interrupt to a guest (vgic_timer_fired), whose list
 * register then deactivates it. No second interrupt is acknowledged before the first is dropped.
 */
u32 gic_acknowledge(void);
void gic_drop(u32 intid);
void gic_deactivate(u32 intid);

/* Enables an SPI towards one core (which has run gic_init_core), or a PPI/SGI of this core. */
void gic_enable(u32 intid, u32 core, bool edge);

/* Sends GIC_SGI_KICK; all earlier stores are visible to the core when it takes it. */
void gic_kick(u32 core);

/* What gic_kick_by() takes to kick this core (drivers/gic_kick.h); 0: GICv2. gic_init_core() was there. */
u64 gic_kick_word(u32 core);

/* An SPI's next ones go to that core. */
void gic_route(u32 intid, u32 core);

/* Registers of the distributor, the same in both versions, with a bit for each INTID that acts. */
enum gic_set {
	GIC_ENABLE = 0x100,
	GIC_DISABLE = 0x180,
	GIC_PEND = 0x200,
	GIC_UNPEND = 0x280,
	GIC_DEACTIVATE = 0x380,
};
/* Of an SPI. A disabled one may still come for a moment on GICv3: who has the handler sees to it. */
void gic_set(enum gic_set registers, u32 intid);

/* Active state of a PPI of this core, for interrupts that guests deactivate. */
void gic_set_active(u32 intid, bool active);

/* An SPI that is enabled comes, as if its device had raised it once. */
void gic_pend(u32 intid);
