/*
 * The hypercall layer: numbers, the pages that a vCPU shares with Weir, and how a guest finds Weir.
 *
 * Call: `hvc #0`, SMCCC 1.2 (ARM DEN 0028), SMC64 fast call, vendor-specific hypervisor range.
 *   in:  x0 = WEIR_FN(number), x1.. = arguments; the arguments that a call does not name must be 0
 *	  up to x6, else WEIR_INVALID.
 *   out: x0 = enum weir_status as a signed 64-bit number, x1..x3 = results, 0 where unused and
 *	  whenever x0 is not WEIR_OK. All other registers are preserved.
 * No call blocks. Every call may be made from EL1 in any context, with interrupts masked or not.
 * A call from EL0 is not possible (HVC is undefined there); an HVC with another immediate than 0
 * answers SMCCC NOT_SUPPORTED (-1).
 *
 * Finding Weir: WEIR_SMCCC_UID returns WEIR_UID_0..3 in w0..w3; the guest's device tree has a
 * /hypervisor node, compatible "weir,hypervisor".
 *
 * Source: ipc/hypercall.c. Tests: tests/guest/hypercall.c, tests/host/test_hypercall.c.
 * Since ABI 1.
 */
#pragma once

#include <stdint.h>
#include <weir/status.h>

#ifdef __cplusplus
#define WEIR_STATIC_ASSERT(condition, message) static_assert(condition, message)
#else
#define WEIR_STATIC_ASSERT(condition, message) _Static_assert(condition, message)
#endif

#define WEIR_ABI_VERSION 1

#define WEIR_FN(number) (0xc6000000u | (number))

/* SMCCC general queries of this range (ARM DEN 0028, 6.2). UID:
 * 7ea5f3d4-3b0b-4f9a-9c41-57454952a001 */
#define WEIR_SMCCC_UID	    0x8600ff01u
#define WEIR_SMCCC_REVISION 0x8600ff03u /* x0 = WEIR_ABI_VERSION, x1 = 0 */
#define WEIR_UID_0	    0xd4f3a57eu
#define WEIR_UID_1	    0x9a4f0b3bu
#define WEIR_UID_2	    0x4557419cu
#define WEIR_UID_3	    0x01a05249u

/*
 * Function numbers, 0..WEIR_FN_COUNT-1. What each does stands in the header named beside it.
 */
enum weir_function {
	WEIR_FN_VERSION = 0,	       /* abi.h: out x1 = WEIR_ABI_VERSION, x2 = features (0) */
	WEIR_FN_PAGES = 1,	       /* abi.h */
	WEIR_FN_MEMORY = 2,	       /* abi.h */
	WEIR_FN_PORT_FIND = 8,	       /* event.h */
	WEIR_FN_EVENT_SEND = 9,	       /* event.h */
	WEIR_FN_PORT_BIND = 10,	       /* event.h */
	WEIR_FN_PORT_PUBLISH = 11,     /* event.h */
	WEIR_FN_PORT_PEER = 12,	       /* event.h */
	WEIR_FN_GRANT_SHARE = 16,      /* grant.h */
	WEIR_FN_GRANT_MAP = 17,	       /* grant.h */
	WEIR_FN_GRANT_UNMAP = 18,      /* grant.h */
	WEIR_FN_GRANT_REVOKE = 19,     /* grant.h */
	WEIR_FN_GRANT_PASS = 20,       /* grant.h */
	WEIR_FN_GRANT_LIST = 21,       /* grant.h */
	WEIR_FN_BLOCK_INFO = 24,       /* block.h */
	WEIR_FN_BLOCK_SUBMIT = 25,     /* block.h */
	WEIR_FN_UPCALL_REGISTER = 32,  /* upcall.h */
	WEIR_FN_UPCALL_RETURN = 33,    /* upcall.h */
	WEIR_FN_VM_INFO = 36,	       /* manage.h */
	WEIR_FN_VM_START = 37,	       /* manage.h */
	WEIR_FN_VM_STOP = 38,	       /* manage.h */
	WEIR_FN_VM_RESTART = 39,       /* manage.h */
	WEIR_FN_PORT_OPEN = 40,	       /* event.h */
	WEIR_FN_PORT_CONNECT = 41,     /* event.h */
	WEIR_FN_PORT_CLOSE = 42,       /* event.h */
	WEIR_FN_PORT_MASK = 43,	       /* event.h */
	WEIR_FN_PORT_TIMER = 44,       /* event.h */
	WEIR_FN_STORE_FIND = 48,       /* store.h */
	WEIR_FN_STORE_MAKE = 49,       /* store.h */
	WEIR_FN_STORE_READ = 50,       /* store.h */
	WEIR_FN_STORE_WRITE = 51,      /* store.h */
	WEIR_FN_STORE_REMOVE = 52,     /* store.h */
	WEIR_FN_STORE_LIST = 53,       /* store.h */
	WEIR_FN_STORE_ALLOW = 54,      /* store.h */
	WEIR_FN_STORE_WATCH = 55,      /* store.h */
	WEIR_FN_SUBMIT = 56,	       /* submit.h */
	WEIR_FN_STORE_WATCH_NEXT = 58, /* store.h */
	WEIR_FN_COUNT = 64,
};

/*
 * WEIR_FN_PAGES: where the calling vCPU's shared pages are.
 *   in:  nothing.
 *   out: x1 = IPA of its struct weir_in, x2 = IPA of its struct weir_out, x3 = IPA of its event
 *	  rings (event.h). The addresses do not change while the VM runs.
 *   errors: none.
 *
 * WEIR_FN_MEMORY: the VM's memory for sharing.
 *   in:  x1 = enum weir_region.
 *   out: x1 = IPA of the region, x2 = its size in bytes (a multiple of 4096).
 *   errors: WEIR_INVALID: x1 is not a region.
 */
enum weir_region {
	WEIR_REGION_RAM = 0,	/* all of the VM's RAM, the pool included */
	WEIR_REGION_POOL = 1,	/* the shareable pool: the last part of RAM */
	WEIR_REGION_WINDOW = 2, /* the grant window: where pages of other VMs are mapped */
};

/*
 * Interrupts of a para-virtual guest: PPIs of each vCPU, edge-triggered. The tree's /hypervisor
 * node has the same numbers in `interrupts`, in this order.
 */
#define WEIR_INTID_UPCALL 18u /* an upcall request is in struct weir_out (upcall.h) */
#define WEIR_INTID_BLOCK  19u /* a completion is in struct weir_out (block.h) */
#define WEIR_INTID_EVENT  20u /* an event is in an event ring (event.h) */

/*
 * Handles: ports, grants and VMs. Bits 15:0 are an index, bits 63:16 a generation that is never reused
 * while the machine runs (of a grant, 63:22; bits 21:16 are its home); 0 is no handle. A handle of
 * something that has gone answers WEIR_STALE.
 */
typedef uint64_t weir_handle;

#define WEIR_PAGE_SIZE 4096u
#define WEIR_NAME_MAX  31u /* bytes of a name, without the terminating 0 that need not be there */

#define WEIR_STORE_VALUE_MAX 128u /* bytes of a value in the store */

/* Event priorities, 0..WEIR_EVENT_PRIORITIES-1; the highest number is delivered first. */
#define WEIR_EVENT_PRIORITIES 4u

/* A finished block request (block.h) or copy (submit.h); they say what the fields mean. 16 bytes. */
struct weir_completion {
	uint64_t cookie;
	int32_t status; /* enum weir_status */
	uint32_t reserved;
};

#define WEIR_COMPLETIONS \
	64u /* slots of a vCPU's completion ring: its limit of requests in flight */

/* A command in the submission ring; submit.h says what the fields mean. 32 bytes. */
struct weir_command {
	uint64_t what;
	uint64_t argument[2];
	uint64_t cookie;
};

#define WEIR_COMMANDS 64u /* slots of a vCPU's submission ring */

/*
 * The vCPU's `in` page: only the guest writes. Weir reads each word once and checks the copy.
 * Normal write-back inner-shareable memory (as is `out`): turn the MMU on first. Zero at start, and
 * at each restart.
 * 4096 bytes.
 */
struct weir_in {
	/* Positions consumed in the event rings, by priority (event.h). */
	uint64_t event_head[WEIR_EVENT_PRIORITIES];
	uint64_t reserved0[4];
	/* Position consumed in the completion ring (block.h). */
	uint64_t completion_head;
	uint64_t reserved1[7];
	/* The answer to an upcall (upcall.h). */
	uint64_t upcall_reply[6];
	uint64_t reserved2[2];
	/* Position filled in the submission ring (submit.h). */
	uint64_t submit_tail;
	uint64_t reserved3[103];
	/* Names and other byte arguments of calls. */
	uint8_t buffer[1024];
	struct weir_command command[WEIR_COMMANDS];
};

/*
 * The vCPU's `out` page: only Weir writes, the guest's mapping is read-only. 4096 bytes.
 */
struct weir_out {
	/* Positions filled in the event rings, by priority (event.h); read with load-acquire. */
	uint64_t event_tail[WEIR_EVENT_PRIORITIES];
	uint64_t event_slots; /* slots of each event ring, a power of two */
	uint64_t reserved0[3];
	/* Position filled in the completion ring (block.h); read with load-acquire. */
	uint64_t completion_tail;
	uint64_t reserved1[7];
	/* The upcall request (upcall.h): sequence number, service, arguments. */
	uint64_t upcall_sequence;
	uint64_t upcall_service;
	uint64_t upcall_argument[4];
	uint64_t reserved2[2];
	/* The submission ring (submit.h): position consumed, read with load-acquire; whether commands that
	 * are put now need a call; of each slot how its last command ended, enum weir_status. */
	uint64_t submit_head;
	uint64_t reserved3[7];
	uint64_t submit_wanted;
	uint64_t reserved4[7];
	int32_t submit_status[WEIR_COMMANDS];
	uint64_t reserved5[56];
	struct weir_completion completion[WEIR_COMPLETIONS];
	/* The name that WEIR_FN_VM_INFO answers, filled up with zeroes (manage.h). */
	char name[WEIR_NAME_MAX + 1];
	/* What the calls of the store answer (store.h): a child's name, a node's value. */
	char store_name[WEIR_NAME_MAX + 1];
	uint8_t store_value[WEIR_STORE_VALUE_MAX];
	uint8_t reserved6[1856];
};

WEIR_STATIC_ASSERT(sizeof(struct weir_in) == WEIR_PAGE_SIZE, "weir_in is one page");
WEIR_STATIC_ASSERT(sizeof(struct weir_out) == WEIR_PAGE_SIZE, "weir_out is one page");
WEIR_STATIC_ASSERT(__builtin_offsetof(struct weir_out, completion) == 1024, "where it was before");
