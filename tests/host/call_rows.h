/*
 * Every call of the table, a row a call: what its arguments are and what it may answer, by its header; for
 * test_arguments.c, which tries each argument, and test_calls.c, which makes calls in any order.
 *
 * A new call needs a row in `call_rows`, else test_arguments fails; what it answers is compared with its header
 * by test_checks.py. An argument of a new kind needs one in `enum kind`, what fits it and an example in
 * call_rows.c.
 * Source: call_rows.c
 */
#pragma once

#include "ipc_vms.h"

#define ARGUMENTS 5u

enum kind {
	NOTHING,
	PORT,
	VCPU,
	PRIORITY,
	LENGTH,
	WORD,
	REGION,
	POOL_PAGE,
	PAGES,
	ACCESS,
	OFFERED,
	WINDOW,
	MINE,
	DISK,
	OPERATION,
	SECTOR,
	SECTORS,
	BUFFER,
	SERVICES,
	SEQUENCE,
	STATUS,
	POSITION,
	MANAGED,
	PORT_KIND,
	OPENED,
	OWN_PORT,
	TIMER,
	FLAG,
	PORT_OR_VM,
	NODE,
	OWNER,
	VALUE,
	NODE_GENERATION,
	KINDS
};

struct call_row {
	u32 number;
	enum kind argument[ARGUMENTS];
	u32 errors; /* bit n: the header names the status -n */
};

extern const struct call_row call_rows[];
extern const u32 call_row_count;

/* What the machine of a test has for VM a, the caller: handles, and places in its window and its pool. */
extern struct call_have {
	weir_handle to_b, to_c; /* its ports */
	weir_handle offered;	/* a grant that b has made for it */
	weir_handle mine;	/* one of its own: page HAVE_OWN of its pool */
	weir_handle managed;	/* a VM */
	weir_handle ipi, timer; /* its ports, opened by call */
	weir_handle opened;	/* b's port, which it may connect to */
	weir_handle node;	/* one of its own in the store, below its home */
	u64 sequence;		/* of the upcall that it has to answer */
} call_have;

#define HAVE_MAPPED 10u /* page of its window: mapped, shared by b */
#define HAVE_PASSED 20u /* mapped, passed by b */
#define HAVE_FREE   30u
#define HAVE_OWN    5u /* page of its pool that is shared; the next ones are not */

/* What this argument may be. All else has to be refused. */
bool call_fits(enum kind kind, u64 value);
u64 call_first(enum kind kind); /* the smallest of a range, and how many */
u64 call_range(enum kind kind);
/* An argument that fits, with which the call succeeds. */
u64 call_good(u32 number, enum kind kind);

/* The call, by the vCPU that runs (ipc_run): its status, checked; `what` is for the message. */
s64 call_row(const struct call_row *row, const u64 x[ARGUMENTS], const char *what);

/* What an argument could be taken for, and what lies beside it. */
u32 call_values(void);
u64 call_value(u32 index);
