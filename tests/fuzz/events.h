/*
 * Events as weir/event.h describes them, without rings: a port is in the queue that it is bound to, or not.
 * What is here is compared with the rings, as long as the guest is honest about how far it has read.
 * Source: events.c
 */
#pragma once

#include "machine.h"

#define EVENTS_PORTS 16u /* of one VM, at most */

void events_reset(void);
/*
 * The VM may have taken a step of its life: its ports were closed or opened, and the peers told. Not `sure`:
 * others did something in the midst of it.
 */
void events_follow(u32 vm, bool sure);

/* What a call may answer: bit n is the status -n; 0: WEIR_OK only. */
u32 events_port_errors(u32 vm, weir_handle handle);
u32 events_send_errors(u32 vm, weir_handle handle);
u32 events_grant_errors(u32 vm, weir_handle handle); /* where it has to be joined to another VM */
u32 events_name_errors(u32 vm, weir_handle handle); /* where it stands for the VM it is joined to */
u32 events_room_errors(u32 vm, u32 *maybe);	    /* for one more port */
u32 events_connect_errors(u32 vm, u32 peer, weir_handle theirs, u32 *maybe); /* to this VM */
u32 events_close_errors(u32 vm, weir_handle handle, bool grants);	     /* that go by it */
u32 events_bind_errors(u32 vm, weir_handle handle, u64 vcpu, u64 priority);

/* A port of this VM was made pending, or bound, by a call or an end that succeeded. */
void events_raise(u32 vm, u32 port);
void events_raise_peer(u32 vm, u32 port);
void events_bind(u32 vm, u32 port, u32 vcpu, u32 priority);
/* A port was opened; `of` as in struct port; connected to a port of the VM `peer`; closed. */
void events_opened(u32 vm, weir_handle handle, enum port_kind kind, u32 of);
void events_connected(u32 vm, weir_handle handle, u32 peer, weir_handle theirs);
void events_closed(u32 vm, u32 port);
void events_mask(u32 vm, u32 port, bool masked);
void events_publish(u32 vm, u32 port, u64 word); /* `port` of the one who publishes */
u64 events_word(u32 vm, u32 port);
bool events_open(u32 vm, u32 port);
bool events_peer_open(u32 vm, u32 port);
bool events_joined(u32 vm, u32 port);	      /* to a port of another VM */
u32 events_named(u32 vm, weir_handle handle); /* the VM that it stands for; MACHINE_VMS: none */
/* The first port of this kind from number `from` on; EVENTS_PORTS: there is none. */
u32 events_find(u32 vm, enum port_kind kind, u32 from);
u32 events_of(u32 vm, u32 port);
bool events_waits(u32 vm, u32 port); /* an event of it is unread, or held back by its mask */
weir_handle events_handle(u32 vm, u32 port);
u32 events_ports(u32 vm);     /* of channels, which come first */
u32 events_all_ports(u32 vm); /* of its manifest */

/* An honest vCPU reads one event; false: there is none. */
bool events_receive(u32 vm, u32 vcpu, u32 *port);
/* The vCPU wrote what it liked into a head: nothing is known of the VM's events until it begins anew. */
void events_lie(u32 vm);

bool events_honest(u32 vm);

/*
 * From now on, until events_settle(), several ports are raised by one thing, and the order among them is
 * nobody's promise.
 */
void events_loose(void);
void events_settle(void);

/*
 * Around what has its effects one by one, so that what comes in between sees some and not others: nothing
 * is predicted. If something did come in between, what the rings have is believed after it.
 */
void events_begin_blind(void);
void events_end_blind(void);
bool events_are_blind(void);
void events_learn(void);

/* Fails if a ring is not as it must be, or not what was sent. */
void events_check(void);
