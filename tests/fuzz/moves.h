/*
 * Between the files of the hypercall fuzzer: how a move makes a call, and the moves.
 * Source: fuzz_hypercall.c, moves_*.c
 */
#pragma once

#include "machine.h"

extern struct vcpu *self; /* who moves */
extern u32 me;		  /* its VM */
extern bool sure;	  /* of the last call: nobody came in between, the answer is known */

/*
 * A call, with what it may answer; `junk`: what is in the first register behind its `count` arguments,
 * which must be 0. True: WEIR_OK.
 */
bool call(u32 function, const u64 *argument, u32 count, u64 junk, u32 errors, u32 maybe);
u64 junk(void); /* mostly nothing */

extern bool inside;	   /* this step came in between another */
bool disturbed(void);	   /* it is the outer one, and another core came in between */
void more_gaps(u32 count); /* so many more gaps pass before another core comes in */
/* Others have done something in the midst of a call: what is there is believed. */
void learn(void);
void follow(void); /* VMs may have begun a life by any step */
/* Around what has effects one by one, and is no call. */
void begin_parts(void);
void end_parts(void);

static inline u32 port_index(weir_handle port)
{
	return port & 0xffff;
}

/* The VM's own, one of an earlier life, or none. */
weir_handle some_port(void);
u64 some_page(u32 pages); /* of so many; or around the end */
u64 some_buffer(void);	  /* somewhere in RAM, mostly in the pool; or around its ends */

void move_send(void);
void move_publish(void);
void move_bind(void);
void move_peer(void);
void move_open(void);
void move_connect(void);
void move_close(void);
void move_mask(void);
void move_timer(void);
void move_find(void);

void move_share(void);
void move_map(void);
void move_unmap(void);
void move_pass(void);
void move_list(void);
void move_revoke(void);

/* In place of a move of the guest, whose last call is not done. */
void step_of_call(void);

void move_info(void);
void move_submit(void);
void move_submit_many(void);
void move_take(void);
void move_disk(void);
void move_disk_break(void);

void move_put(void);
void move_ring_lie(void);
void move_ring_call(void);
void move_drain(void);

void move_store(void);

void move_register(void);
void move_return(void);
void move_ask(void);
/* Each question was answered once, or is open; at the end none is. */
void upcalls_reset(void);
void upcalls_check(void);
void upcalls_check_done(void);

void move_time(void);
void move_manage(void);
void move_vm_info(void);
void move_end(void);
void move_vm_step(void);
