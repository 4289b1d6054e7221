/*
 * Between the files of the hypercall fuzzer: how a move makes a call, and the moves about ports and grants.
 * Source: fuzz_hypercall.c, moves_port.c, moves_grant.c
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
/* Others have done something in the midst of a call: what is there is believed. */
void learn(void);

static inline u32 port_index(weir_handle port)
{
	return port & 0xffff;
}

/* The VM's own, one of an earlier life, or none. */
weir_handle some_port(void);
u64 some_page(u32 pages); /* of so many; or around the end */

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
