/*
 * The virtual CPU interface under test: the list registers of each core (the one that
 * fake_cpu_set_index() names), and the guest that acknowledges and ends interrupts there, as IHI
 * 0069 4.5 and IHI 0048 5.2 say. And the active state of the virtual timer's interrupt in the
 * physical GIC.
 */
#pragma once

#include "arch/arm64/list_regs.h"

#define FAKE_SPURIOUS 1023u

/* The timer is active everywhere: who starts may not assume that it is not. */
void fake_list_regs_reset(u32 gic_version);
/* Until the next reset: list_regs_init() says what it means. */
void fake_list_regs_lose_lines(void);
/* The guest sets up its CPU interface: priority mask and group enables. */
void fake_interface_set(u8 mask, bool group0, bool group1);
/* Either group's acknowledge: INTID | source << 10, or FAKE_SPURIOUS. */
u32 fake_acknowledge(void);
u32 fake_next(void); /* what fake_acknowledge() would give */
/*
 * EOIR: drops the running priority and, in EOImode 0, deactivates; on GICv3 only what has that priority and
 * group. In EOImode 1 an end that no list register has is counted all the same, as QEMU does it.
 */
void fake_end(u32 intid);
/* EOImode 1 from now on, or 0: the deactivation is then trapped, and vgic_deactivate() is the guest's. */
void fake_two_steps(bool on);
/* The two halves, where deactivation is not trapped. */
void fake_drop(void);
void fake_deactivate(u32 intid);
/* Binary points: bits of the priority that a group's interrupts are not preempted by; 3 (all of them) to 7. */
void fake_binary_point(u32 group0, u32 group1);
u32 fake_group_bits(bool group1); /* mask of the others */

u32 fake_list_regs_used(void);	 /* with something pending or active in them */
bool fake_listed(u32 intid);	 /* pending or active in a list register */
bool fake_maintenance(void);	 /* the maintenance interrupt is up */
u64 fake_list_regs_writes(void); /* of list registers, since the reset */

bool fake_timer_active(void);
void fake_timer_activate(void); /* it was acknowledged and dropped */
u32 fake_timer_changes(void);	/* calls of gic_set_active since the reset */

/*
 * SPIs of the machine, level-triggered. Does one arrive, with its line up? Then it is acknowledged
 * and dropped.
 */
void fake_spi_line(u32 intid, bool level);
bool fake_spi_arrives(u32 intid);
bool fake_spi_active(u32 intid);
bool fake_spi_enabled(u32 intid);
u32 fake_spi_core(u32 intid); /* that gic_route() named last */
