/*
 * What each VM and each vCPU has for communication: one member per module.
 *
 * Owner: each struct belongs to the module it is named after; it is made at boot by ipc.c, in the
 * heap, and lives until power-off. Nothing here is in guest memory but `in`, `out` and the rings'
 * slots, which a guest reaches by its own mappings (of `in` alone read-write).
 * Locks, outer first (the whole order: core/README.md):
 *   vm->ipc->grant.lock  of up to three VMs, in the order of their ids;
 *   what block.c takes;
 *   the store's	  alone: nothing is taken under it, and it is taken under none of these;
 *   vm->ipc->event.lock  never two at once;  the vGIC's and the scheduler's, by vgic_pend().
 * Source: ipc.c
 */
#pragma once

#include <weir/abi.h>
#include "arch/arm64/lock.h"
#include "core/timeout.h"
#include "core/vm.h"
#include "ipc/block.h"
#include "ipc/call.h"
#include "ipc/comm.h"

/* One priority's event ring of one vCPU (weir/event.h). Lock: its VM's event.lock. */
struct event_ring {
	struct vcpu *vcpu;	/* who reads it; fixed */
	u32 *slot;		/* fixed; written by EL2, read-only to the guest */
	u64 mask;		/* slots - 1; there are at least as many slots as ports */
	u64 tail;		/* positions filled; EL2's own copy */
	u64 head;		/* the last head that was believed, at most `tail` */
	u64 *shared_tail;	/* in weir_out */
	const u64 *shared_head; /* in weir_in: the guest may write anything at any time */
};

/*
 * What a port is for; PORT_PEER to PORT_STORE are the numbers of the ABI, and no port is of kind PORT_VM:
 * it is of kind PORT_PEER then. PORT_FREE also while a
 * call is about to open it.
 */
enum port_kind {
	PORT_FREE,
	PORT_PEER,
	PORT_IPI,
	PORT_TIMER,
	PORT_BLOCK,
	PORT_VM_STATE,
	PORT_VM,
	PORT_STORE,
	PORT_CHANNEL,
};

/*
 * A port. Its own VM's vCPUs read `handle`, `owner` and `peer` without a lock; all else, and what
 * changes these, is guarded by owner->lock. `owner` is fixed; the ends of a manifest's channel are
 * each other's `peer` for ever. Of other ports `peer` changes while the VM runs, but always names a
 * port, and whether a send may pass is said at the other end by `from`.
 */
struct port {
	struct port *peer;  /* where sends go: the port itself (IPI), or a port of nobody */
	weir_handle handle; /* generation << 16 | number; with PORT_CLOSED nobody's */
	struct event_vm *owner;
	struct event_ring *ring; /* where its events go */
	u64 entered; /* position after its last entry in `ring`, 0: none; PORT_MASKED is added */
	u64 word;    /* what the peer published last */
	const struct port *from; /* whose sends arrive; itself: only EL2's do; 0: it is closed */
	u8 kind;		 /* enum port_kind */
	u8 of; /* PORT_PEER: which VM may connect, or has; TIMER, BLOCK: vCPU; VM_STATE: VM */
	bool waiting;	/* PORT_PEER: opened, and nobody has connected yet */
	bool peer_open; /* the other end is there; kept by the peer */
	bool masked;
	bool latched; /* there was a send while it was masked, or pending */
	union {
		u16 next;   /* while it is free: in the list that it is in */
		u16 grants; /* kind PORT_PEER: of its VM, that go by it; lock: grant.lock */
	};
};

_Static_assert(sizeof(struct port) == 64, "a port is a line of a cache");

/* Ports of a VM, at most; the bit above the numbers marks handles that fit no port. */
#define PORTS_MAX   (1u << 15)
#define PORT_CLOSED (1ul << 15)
/* Above every position: a masked port looks like one that is pending. */
#define PORT_MASKED BIT(63)

/* First in, first out, so that a number is not given out again soon. */
struct port_list {
	u32 count;
	u16 first, last;
};

/*
 * The ports of a VM: those of channels come first. Those from `fresh` on have had no owner in this
 * life of the VM; of the others that have none, some have an old entry that is unread.
 */
struct event_vm {
	struct spinlock lock;
	struct vm *vm;
	u32 port_count;	   /* fixed after boot */
	u32 channel_count; /* fixed after boot */
	u32 fresh;
	struct port_list free, unread;
	struct port *port;
	const char **name; /* of channels */
};

#define PORT_SOURCES 2u /* PORT_TIMER and PORT_BLOCK, of which a vCPU has one each */

struct event_vcpu {
	struct event_ring ring[WEIR_EVENT_PRIORITIES];
	struct port *source[PORT_SOURCES]; /* lock: event.lock; also read without it */
	struct timeout timer;		   /* owner: the vCPU's core; may outlive the port */
};

/* A grant of the VM's own pool; its index in the table is its first page. Lock: grant.lock. */
struct grant {
	u64 generation;	 /* of the last grant that began at this page */
	u32 window_page; /* where the holder has it, if `mapped` */
	u16 port;	 /* home's, by which it was shared or passed */
	u16 pages;	 /* 0: no grant begins here */
	u8 access;	 /* enum weir_access */
	u8 holder;	 /* VM id, if `mapped`; its lock, too */
	bool mapped;
	bool ending; /* the holder does not change any more */
};

/* A mapping in the VM's own grant window. Lock: grant.lock. */
enum window_state {
	WINDOW_FREE,	/* nothing is mapped */
	WINDOW_MAPPED,	/* a page of home's pool */
	WINDOW_SCRATCH, /* the grant was revoked: the VM's own scratch page */
	WINDOW_OFFERED, /* passed on, and not taken yet: nothing is mapped */
};

/* Says something where a mapping begins: `pages` is 0 elsewhere. */
struct window_page {
	u8 state;  /* enum window_state, of all of its pages */
	u8 home;   /* VM id */
	u16 pages; /* 0: no mapping begins here */
	u16 grant; /* the grant's index in home's table */
	u16 port;  /* the VM's own, by which it got it, or WINDOW_OFFERED: passes it on */
};

struct grant_vm {
	struct spinlock lock; /* also: the entries of vm->stage2 after boot */
	bool stopped;	      /* nothing is shared or mapped any more */
	u32 pool_pages; /* both 0, and so no tables and no scratch page: the VM talks to no other */
	u32 window_pages;
	pa_t pool; /* where it begins; fixed, as the sizes are */
	ipa_t pool_ipa;
	struct grant *grant; /* one for each page of the pool */
	u64 *shared;	     /* a bit for each page of the pool: it is in a grant */
	struct window_page *window;
	u64 *used; /* a bit for each page of the window: it is in a mapping */
	void *scratch; /* shown to the VM where a mapped grant was revoked, and while a page is passed */
	struct stage2_area pool_area, window_area;
};

struct upcall_vm {
	u64 ends;	      /* atomic: how often the VM has ended; counted by any core */
	struct vcpu *watched; /* atomic: the first that registered; asked every upcall-ms */
};

typedef void (*upcall_answered)(void *context, enum weir_status status, const u64 reply[6]);

/* Owner: the core that the vCPU is pinned to; no lock. */
struct upcall_vcpu {
	struct vcpu *vcpu; /* whose it is */
	u64 life;	   /* `ends` of the VM when it registered: all below is of that life */
	u32 services;	   /* bit n: enum weir_service n is offered */
	bool open;	   /* request `sequence` waits for its answer */
	u64 sequence;	   /* of the last request */
	struct timeout deadline;
	upcall_answered answered;
	void *context;
	/* The periodic question of `upcall-ms`. */
	struct timeout period;
	u64 asked_at; /* ticks */
	u32 service;  /* what was asked */
	bool said;    /* the fields below say what the last line told */
	enum weir_status said_status;
	u64 said_done, said_total;
};

/* A copy that is being made, piece by piece. Lock: that of the submission ring. */
struct copy {
	u64 to, from;		 /* IPAs: the rest of it */
	u32 left;		 /* bytes; 0: there is none */
	struct block_slot *slot; /* for its completion */
};

/*
 * The submission ring of a vCPU. The lock is the outermost of ipc/: who has it takes commands, on whatever
 * core, and VM and pages stay as they are meanwhile (ipc_vm_stop).
 */
struct submit_vcpu {
	struct spinlock lock;
	bool stopped;	  /* atomic: from the end of the VM until its pages are new */
	bool asleep;	  /* as weir_out.submit_wanted says */
	u64 head;	  /* position taken; EL2's own copy */
	struct copy copy; /* the command at `head`, if it is one and has begun */
	u64 used;	  /* of the quantum, by the request that was made last */
	void (*wake)(
		struct vcpu
			*vcpu); /* fixed after boot; 0: the vCPU's own core takes its commands */
};

/* What a VM has of the store (store_node.h). Lock: the store's; the sizes are fixed after boot. */
struct store_vm {
	const struct vm *vm; /* fixed */
	u64 talks;	     /* fixed: bit n: it may talk to VM n */
	u32 base,
		count; /* its numbers: the home, then the nodes that it makes; 0: it takes no part */
	u32 fresh;     /* of these: so many have been used */
	u16 free;      /* of these: the first that is free again */
	u16 tree;      /* its nodes, but for the home */
	u32 bytes, bytes_max; /* of all values */
	u32 watch_count;
	u32 search, quiet; /* WATCH_NEXT: the next place, and how many before had nothing to tell */
	bool closed;	   /* the VM ends, or is off */
	weir_handle *watch; /* 0: none */
	struct port *port;  /* of kind PORT_STORE; lock: event.lock; also read without it */
};

struct vm_ipc {
	struct event_vm event;
	struct grant_vm grant;
	struct upcall_vm upcall;
	struct block_vm block;
	struct store_vm store;
};

struct vcpu_ipc {
	struct call_results results; /* of the hypercall that runs; scratch of hypercall() */
	const struct weir_in *in;    /* the guest writes: read each word once, by read_once() */
	struct weir_out *out;	     /* EL2 writes */
	u64 shared_ipa;		     /* of `in`; `out` and the event rings follow */
	struct event_vcpu event;
	struct upcall_vcpu upcall;
	struct block_vcpu block;
	struct submit_vcpu submit;
	u64 store_tell; /* VMs that it has to tell of changes; owner: its core, or who ends the VM */
	struct comm_vcpu comm;
};
