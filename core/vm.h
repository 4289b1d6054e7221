/*
 * Virtual machines and their vCPUs.
 *
 * Owner: core/. A struct vm exists from boot to power-off; `state` says whether it runs.
 * Locks: vm->lock guards state and the vCPUs' power states. Lock order: core/README.md.
 * Source: vm.c
 */
#pragma once

#include "arch/arm64/lock.h"
#include "arch/arm64/stage2.h"
#include "arch/arm64/vcpu.h"
#include "core/account.h"
#include "core/base/list.h"
#include "core/guest_tree.h"
#include "core/manifest.h"
#include "core/timeout.h"
#include "core/vdev/vgic.h"
#include "core/vdev/vptimer.h"
#include "core/vdev/vuart.h"
#include "drivers/gic.h"

/* Guest physical layout: the part of QEMU's virt machine that kernels rely on, and Weir's own.
 */
#define VM_FLASH_BYTES	  0x08000000ul /* from 0 on, with nothing in it */
#define VM_GICD_BASE	  0x08000000ul
#define VM_GICD_BYTES	  0x10000ul
#define VM_GICC_BASE	  0x08010000ul
#define VM_GICC_BYTES	  0x2000ul
#define VM_GICC_DIR	  0x08011000ul /* its second page is not mapped */
#define VM_GICC_DIR_BYTES 0x1000ul
#define VM_GICR_BASE	  0x080a0000ul
#define VM_GICR_STRIDE	  0x20000ul
#define VM_UART_BASE	  0x09000000ul
#define VM_UART_BYTES	  0x1000ul
#define VM_UART_INTID	  33u
/* Frames of virtio devices (core/vdev/virtio.h), VIRTIO_SLOT_BYTES each; slot n raises INTID 48 + n. */
#define VM_VIRTIO_BASE	0x0a000000ul
#define VM_VIRTIO_BYTES 0x4000ul
#define VM_VIRTIO_INTID 48u
#define VM_SHARED_BASE	0x0e000000ul /* in, out and event pages, vCPU by vCPU */
#define VM_WINDOW_BASE	0x10000000ul
#define VM_RAM_BASE	0x40000000ul /* unless it is direct */

/* Slots that may have a device: disks, and a console. */
#define VM_VIRTIO_DEVICES (MANIFEST_VM_DISKS + 1)

/* core/life.c says what they mean, and how one becomes another. */
enum vm_state { VM_OFF, VM_BUILDING, VM_RUNNING, VM_DYING, VM_REBUILDING };
enum vm_dying { DYING_LEAVING, DYING_CLOSING, DYING_CLOSED };
enum vcpu_power { VCPU_OFF, VCPU_ON };
enum vcpu_run { VCPU_STOPPED, VCPU_BLOCKED, VCPU_READY, VCPU_RUNNING, VCPU_THROTTLED };
/*
 * Whose the turns are that the scheduler gives a vCPU: the guest's; or steps in place of it, of a call of the guest that
 * is not done (ipc_vcpu_step()), or of an access that waits for what other cores say (vgic_ask_step()), or of the VM that
 * begins or ends, in those of vCPU 0 (vm_step()).
 */
enum vcpu_turns { TURNS_GUEST, TURNS_CALL, TURNS_ANSWER, TURNS_VM };

struct vm;
struct virtio_device; /* core/vdev/virtio.h */
struct vm_ipc;	      /* ipc/ipc.h */
struct vcpu_ipc;      /* ipc/ipc.h */
struct port;	      /* ipc/ipc.h */

struct vcpu {
	struct arch_vcpu arch; /* first: entry.S and core/ convert by a cast */
	struct vm *vm;
	u32 index; /* in the VM */
	u32 core;  /* where it is pinned */
	u8 priority;
	enum vcpu_turns turns; /* changed by its core, or while it is on none */

	const u32 *sched_needed; /* of `core`, 0 or 1: asked at the end of every exit */

	/* The run queue's lock of `core`. */
	enum vcpu_run run; /* also read without it, see sched_kick() */
	struct list queue_link;
	u64 slice_left; /* of round robin, ticks */
	bool ending; /* stopped with its VM while on the core: whoever switches it out reports it */

	/* vm->lock; `restart`: the core resets it from entry and context before it runs. */
	enum vcpu_power power;
	u64 entry, context;
	bool restart;

	/* Owned by `core`; others read single words of `account`. */
	struct account account;
	struct mmio mmio; /* the access that is being emulated */
	struct vgic_vcpu vgic;
	struct timeout vtimer_timeout;
	struct vptimer ptimer;
	struct timeout refill; /* the end of its period, while it is throttled; owned by `core` */

	/* Budget. Lock: the run queue's of `core`; the first two are fixed. */
	u64 budget, period; /* ticks; budget 0: none, and the others mean nothing */
	u64 period_end;	    /* of the last one that began */
	s64 budget_left;    /* of it, as of `charged_at`; below 0: of the next one */
	u64 charged_at;	    /* 0: not metered, for it is not loaded */

	struct vcpu_ipc *ipc;

	/* What a send looks at (ipc/event_send.c); fixed after boot. */
	struct port *port; /* of its VM */
	u64 port_count;
	u64 kick;	   /* gic_kick_word() of `core` */
	struct vcpu *told; /* owned by `core`: what trap_send() leaves to trap_sent() */
};

/* What RAM has in it when the VM starts; all else is zero. */
struct vm_image_part {
	u64 offset; /* from the start of RAM */
	struct blob blob;
};

#define VM_IMAGE_PARTS 3 /* kernel, ramdisk, tree */

/* How far the steps of a state have come; owned by vCPU 0's core. All 0 when the state begins. */
struct vm_work {
	enum vm_state state; /* whose steps these are */
	u32 phase;
	u64 at;	    /* in the phase */
	u64 filled; /* bytes of RAM */
};

/* What a VM was ended for, until it is reported (core/fault.c). */
struct fault {
	u32 lines; /* of the report that are still to come */
	u32 vcpu;
	const char *what;
	u64 syndrome, pc, pstate, far;
	ipa_t ipa;
	bool ipa_known;
};

struct vm {
	const struct manifest_vm *config;
	u32 id; /* index in the manifest */
	struct spinlock lock;
	enum vm_state state; /* also read without the lock */
	enum vm_dying dying; /* in that state: its part */
	bool again;	     /* dying: to be rebuilt then */
	u64 life;   /* counts how often it started to be built; also read without the lock */
	u32 ending; /* atomic: vCPUs that are still on a core while the VM is dying */
	struct vm_work work;
	struct fault fault;

	struct stage2 stage2; /* entries: ipc's grant lock after boot */
	pa_t ram;
	u64 ram_ipa; /* VM_RAM_BASE, or the same as `ram` */
	u64 ram_bytes, pool_bytes, window_bytes;

	u32 vcpu_count;
	struct vcpu *vcpu[MAX_VCPUS];

	struct vgic vgic;
	struct vuart uart;
	struct virtio_device *virtio[VM_VIRTIO_DEVICES]; /* by slot; 0: none; fixed after boot */
	struct vm_image_part image[VM_IMAGE_PARTS];	 /* pristine; the tree is in the heap */
	struct guest_seed seed[GUEST_SEEDS];		 /* in that tree */
	u64 tree_ipa, entry_ipa;
	u32 passed;	  /* devices that it has now: the first ones; owned by vCPU 0's core */
	bool virtio_used; /* a queue has been ready in this life; lock: the grant lock */
	struct vm_ipc *ipc;
};

/* Makes every VM that was not refused, all of them off, and says how many; boot core. */
u32 vm_create_all(const struct manifest *manifest, const struct gic_registers *gic);
u32 vm_count(void);
struct vm *vm_get(u32 id); /* 0: refused or out of range */

/*
 * Guest physical range in the VM's own RAM to physical address; RAM is contiguous. False: not all
 * of it is RAM (the pool is RAM too).
 */
bool vm_ram(const struct vm *vm, ipa_t ipa, u64 bytes, pa_t *pa);
u64 vm_pool_base(const struct vm *vm); /* IPA */

/* One bounded step of filling RAM with what the VM starts with; false: there is no more. `filled`:
 * bytes that are, 0 at first. */
bool vm_fill_step(const struct vm *vm, u64 *filled);
