/*
 * Four VMs, on the machine of fake/ipc_vms.h, whose pages go from one to the other; what each of them sees; and
 * what must be true whatever they do. The grants are a's: of page HOME of its pool on, over its channel to b.
 * Source: grant_vms.c
 */
#pragma once

#include <weir/event.h>
#include <weir/grant.h>
#include "ipc_vms.h"

/* Home is a. Locks are taken in the order of ids: so it matters which one is home's (test_last_*.c). */
#ifdef HOME_IS_LAST
enum { B, C, D, A, VMS };
#else
enum { A, B, C, D, VMS };
#endif

/* The numbers of their ports: A_B is a's port to b. */
enum { A_B, A_C, A_B2 };
enum { B_A, B_C, B_A2, B_D };
enum { C_A, C_B, C_D };
enum { D_C, D_B };

#define HOME   10u /* page of the pool of a */
#define PLACE  5u  /* page of the window of who maps it */
#define PLACE2 20u

extern weir_handle grant; /* the last that was made */

/* What two cores were answered, on this machine. */
#define NOT_ASKED ((enum weir_status)1)
extern enum weir_status first, second;

void machine(void);
int machine_make(void **state);
int machine_free(void **state);
weir_handle port_of(u32 vm, u32 number);

/* By this vCPU of a; and as it has to be, by vCPU 0. */
enum weir_status share_on(u32 vcpu, u64 page, u32 pages, enum weir_access access);
void share(u32 pages, enum weir_access access);
enum weir_status revoke_on(u32 vcpu);
/* By a vCPU of the VM, over its port. */
enum weir_status map_on(u32 vm, u32 vcpu, u32 port, u64 place);
enum weir_status unmap_on(u32 vm, u32 vcpu, u64 place);
enum weir_status pass_on(u32 vm, u32 port, u64 place);
/* New machines: a has passed two pages to b, has shared three with it, for it to map at PLACE. */
void passed_and_mapped(void);
void shared_and_mapped(void);
void shared_only(void);

s32 next_event(u32 vm); /* the port; -1: there is none */
u64 seen_in_window(u32 vm, u64 page);
u64 seen_at_home(u32 vm, u64 page);
bool is_given(u32 vm, u64 page); /* in a grant, so that it is not for DMA */
u32 viewers(u64 pa);		 /* in how many windows, of any VM, at any place */

/* A page is seen by one peer at most, counts as given then, and home sees itself or its scratch page. */
void check_pages(void);
void check_home_again(u64 page); /* a's, and nobody else's */
