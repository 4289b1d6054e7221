/*
 * The virtual interrupt controller, GICv2 or GICv3 as the machine's. The four list registers are a
 * cache of the pending set.
 *
 * An interrupt is either described by its bits here, or `listed`: then a list register of the vCPU
 * that has it (its `owner`) says whether it is pending or active, and only that vCPU's core may
 * look. Only a loaded vCPU has list registers in use: they are emptied when it is saved.
 *
 * Locks: vm->vgic.lock guards all banks (SPIs and every vCPU's private bank) and the list registers
 * of a loaded vCPU; `inbox` is atomic.
 * Source: vgic.c, vgic_ask.c, vgic_wake.c, vgic_hardware.c, vgic_lists.c, vgic_registers.c, vgic_v2.c, vgic_v3.c
 */
#pragma once

#include "arch/arm64/list_regs.h"
#include "arch/arm64/lock.h"
#include "core/mmio.h"

struct vm;
struct vcpu;

#define VGIC_SPI_BANKS	8u /* 32 interrupts each, INTID 32.. */
#define VGIC_NOBODY	0xffu
#define VGIC_WAS_ACTIVE 0x8000u
#define VGIC_RANKS	5u /* bits of a priority */

/* 32 interrupts; bit n is INTID base + n. Each word may be read without the lock. */
struct vgic_bank {
	u32 enabled;
	u32 latched; /* pending by an edge or by software, and not taken into a list register */
	u32 line;    /* level input */
	u32 edge;    /* configured edge-triggered */
	u32 active;  /* active and not in a list register */
	u32 group1;
	u32 listed; /* in a list register of the owner */
	u32 taken;  /* listed, and pending because of a latch, which goes back if it is taken out */
	u32 clear;  /* listed, and to be no more pending when the owner looks */
	u32 deactivate; /* listed, and to be no more active when the owner looks */
	/*
	 * v3: active, or listed and perhaps active, and then acknowledged with another priority or group than it
	 * has now: vgic_acknowledged_as(). No others.
	 */
	u32 changed;
	u32 forced; /* if active, then by software: the guest did not acknowledge it and does not end it */
	/*
	 * SPIs of the machine that the VM has, and which of them came and were not deactivated in
	 * the physical GIC since: those are latched, listed or active here.
	 */
	u32 hardware, physical;
	/*
	 * The priorities twice: a byte of each interrupt, and a word of each bit, the lowest first.
	 * By the words the most urgent of any set is found in a few steps, however large it is.
	 */
	u8 priority[32] __attribute__((aligned(8)));
	u32 rank[VGIC_RANKS];
	u32 summary; /* its bit in `wanted`; of the private one: none */
};

struct vgic_spi_bank {
	struct vgic_bank bank;
	u32 routed[MAX_VCPUS]; /* by vCPU: what is routed to it; one vCPU has a bit, or none */
	u32 owned[MAX_VCPUS];  /* by vCPU: what it has listed or active; the same */
	/* As the guest wrote it: v2 the mask of ITARGETSR, v3 IROUTER's affinity 2.1.0. In bits 31:24
	 * v3 has what struct vgic_vcpu has of its own ones: `acknowledged`. */
	u32 route[32];
	u32 unused
		[4]; /* the size makes an index short to compute on the way of every register access */
};

/* `state` of a vCPU that is loaded, little-endian, and nothing else. */
#define VGIC_QUIET (1u << 24)

/* A guest's access that waits for what the list registers of other cores say (vgic_ask.c). */
struct vgic_question {
	const struct vgic_bank *bank;
	u32 bits;     /* of it: what others had listed, and was not seen elsewhere since */
	u32 word;     /* what is known so far */
	u32 syndrome; /* of the access: where the word goes, if it is a load */
	u8 shift;     /* and from which bit on */
	bool active;  /* about what is active, else pending */
};

struct vgic_vcpu {
	struct vgic_bank private; /* SGIs and PPIs */
	u32 inbox; /* atomic: private INTIDs raised from anywhere, not yet in `private` */
	union {
		struct {
			/* v2: bit n: pending from vCPU n; 0 with the latch set: from itself */
			u8 sgi_source[16];
			u8 sgi_active[16]; /* v2: from which vCPU the active one came */
		};
		/* v3: of `changed` ones the priority and, in bit 0, the group that they had before. */
		u8 acknowledged[32];
	};
	u16 list[LIST_REGS_KEPT]; /* INTID in each used list register; VGIC_WAS_ACTIVE when it got in */
	u8 used;		  /* bit n: list register n has been given an interrupt */
	u8 hardware;		  /* bit n: with the virtual timer, a hardware one */
	u8 device;		  /* bit n: with an SPI of the machine, a hardware one */
	union {
		struct {
			/* bit n: its end raises a maintenance interrupt, or it is of `changed` */
			u8 asking;
			u8 maintenance; /* what list_regs_maintenance() was last told */
			bool recheck;	/* a listed interrupt has changed: look at them all */
			bool loaded;	/* list registers are in the hardware of its core */
		};
		u32 state; /* all of it at once: VGIC_QUIET, or there is something to look at */
	};
	bool asleep; /* v3: GICR_WAKER */
	struct vgic_question question;
};

struct vgic {
	struct spinlock lock;
	u32 version;
	u32 control;   /* GICD_CTLR: the two group enables */
	u32 open[2];   /* by group: all ones if the distributor forwards it */
	u32 wanted;    /* bit n: some interrupt of spi[n] should go into a list register */
	u32 questions; /* bit n: vCPU n has one */
	struct vgic_spi_bank spi[VGIC_SPI_BANKS];
};

/* Resets everything; the vCPUs are there and none is loaded. */
void vgic_init(struct vm *vm);
/*
 * The vCPU, not loaded, is about to start: its CPU interface is reset. Its SGIs and PPIs are as they were
 * left, or as another vCPU has configured them: a power cycle of a core is none of its redistributor.
 */
void vgic_vcpu_reset(struct vcpu *vcpu);

/* Raises a private edge interrupt (SGI or PPI) of a vCPU. Any core. */
void vgic_pend(struct vcpu *target, u32 intid);
/* What vgic_raise_quickly() (vgic_raise.h) has left to do: the target is on this core, or does not run. */
void vgic_posted(struct vcpu *self, struct vcpu *target);
/* The level of an SPI's line, or an edge when it rises on an edge-configured one. Any core. */
void vgic_set_line(struct vm *vm, u32 intid, bool level);

/*
 * An SPI of the machine that the VM has arrived; it was dropped. Any core. It stays active until the
 * guest deactivates it, or it is taken from the VM.
 */
void vgic_hardware_came(struct vm *vm, u32 intid);
/* The VM has the SPI from now on, or no more. Its physical one is disabled and not pending. */
void vgic_hardware_set(struct vm *vm, u32 intid, bool given);

/*
 * The virtual timer's interrupt arrived (loaded vCPU; it was dropped and stays physically active),
 * or its deadline passed (not loaded; wakes the vCPU if that is an interrupt for it).
 */
void vgic_timer_fired(struct vcpu *vcpu);

/* The level of a line of a vCPU's own (PPI), on its core; not the virtual timer's while it is loaded. */
void vgic_set_private(struct vcpu *vcpu, u32 intid, bool level);

/*
 * At a switch on this core. Load comes after the registers of the virtual timer are loaded. Settle:
 * the loaded vCPU runs on. None with the run queue's lock held.
 */
void vgic_load(struct vcpu *vcpu);
void vgic_save(struct vcpu *vcpu);
void vgic_settle(struct vcpu *vcpu);
/*
 * At a kick, at a maintenance interrupt. Like all that raises an interrupt or writes a register it
 * may leave the list registers to be settled, and then says so by sched_again().
 */
void vgic_sync(struct vcpu *vcpu);

/*
 * Would an interrupt be delivered if the vCPU ran (PSTATE.I not looked at)? For WFI, so on its own
 * core. Whoever blocks says so first and asks then: vgic_pend() stores first and kicks then.
 */
bool vgic_pending(struct vcpu *vcpu);

/* A turn of a vCPU that waits for others' answers: TURNS_ANSWER. It is loaded. */
void vgic_ask_step(struct vcpu *self);

/* Register frames; false: the access raises an external abort. */
bool vgic_mmio_distributor(struct vcpu *self, struct mmio *access);
bool vgic_mmio_redistributor(struct vcpu *self, struct mmio *access);
/* The guest's page with GICC_DIR (v2), which is trapped. */
bool vgic_mmio_deactivate(struct vcpu *self, struct mmio *access);
/* ICC_DIR_EL1 written (v3). */
void vgic_deactivate(struct vcpu *self, u32 intid);
/* ICC_SGI1R_EL1 written (v3). */
void vgic_sgi1r(struct vcpu *self, u64 value);
