/*
 * A VM of up to three vCPUs, each on a core of its own, and its real virtual interrupt controller on fake list
 * registers; what its guests and devices do to it. For test_vgic*.c. Source: vgic_machine.c
 */
#pragma once

#include "fake.h"
#include "list_regs.h"
#include "core/sched.h"
#include "core/vm.h"

#define VCPUS		3u
#define EDGE_PPI	20u
#define TIMER		27u
#define SPI		40u
#define GICR(n, offset) ((n)*VM_GICR_STRIDE + 0x10000u + (offset))

extern struct vm vm;
extern struct vcpu vcpus[VCPUS];
extern struct mmio last; /* the access that was made last, and what it gave */

/*
 * Every vCPU runs on a core of its own with its interfaces open and all its interrupts enabled, in group 1 on
 * GICv3; SPIs are edge-triggered and go to vCPU 0, which the test speaks for.
 */
void start(u32 version, u32 count);
/* From now on this vCPU's core executes, and its guest runs there (or is about to). */
void on(u32 n);

/* Accesses of the vCPU that runs; false: it is an external abort. */
bool try_access(bool gicr, u64 offset, u32 bytes, bool write, u64 value);
void gicd_write(u64 offset, u64 value);
u32 gicd_read(u64 offset);
void gicr_write(u64 offset, u64 value);
u32 gicr_read(u64 offset);
/* Registers of SGIs and PPIs of this vCPU: in the distributor (v2) or in its redistributor (v3). */
void own_write(u64 offset, u64 value);
u32 own_read(u64 offset);

void set_priority(u32 intid, u8 priority);
void make_level(u32 intid);

/* ICC_DIR_EL1 or GICC_DIR, by the vCPU that runs: in EOImode 1 the second step, which is trapped. */
void deactivate(u32 intid);
/* Takes the maintenance interrupts that there are, as EL2 would before the guest goes on. */
void maintain(void);
/* Acknowledges and ends this one, which must be the next. */
void expect(u32 intid);
void expect_nothing(void);
