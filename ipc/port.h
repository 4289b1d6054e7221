/*
 * Between event.c and port.c: what a port is made of, and the way of an event to it.
 *
 * Locks: as in event.h. No function here is called with an event lock held, but where NEEDS says so.
 */
#pragma once

#include "ipc/event.h"

#define HANDLE_INDEX_BITS 16
#define PORT_ANY_HANDLE	  0ul
#define PORT_ANY_VM	  0xffu /* `of` of a port of kind PORT_VM_STATE */

/*
 * Leaves a word, if there is one, and makes the port pending, if it takes what `sender` sends: else
 * WEIR_CLOSED. EL2 itself is the port's peer, or, if it has none, the port. event.c
 */
enum weir_status port_signal(const struct port *sender, struct port *port, const u64 *word);
/* A port of the VM by its handle: WEIR_INVALID, WEIR_STALE. Whoever changes it looks again under the
 * lock. event.c */
enum weir_status port_lookup(struct vm *vm, weir_handle handle, struct port **port);
/* An old entry of the port is still unread in its ring. event.c */
bool port_unread(const struct port *port) NEEDS(&port->owner->lock);

/* As new but for the handle: bound to vCPU 0, with nobody at its other end. port.c */
void port_begin(struct port *port, enum port_kind kind) NEEDS(&port->owner->lock);
/*
 * Closes a port that is no channel's and tells its peer, who sees it closed. WEIR_STALE: the handle,
 * if it is not PORT_ANY_HANDLE, is not the port's any more, or it is nobody's already. port.c
 */
enum weir_status port_close(struct port *port, weir_handle handle);
/* Where a vCPU, or its VM, keeps its port of this kind; 0: it has many, or none. port_source.c */
struct port **port_source(struct vcpu *vcpu, enum port_kind kind);
/*
 * What x2 of WEIR_FN_PORT_OPEN says for PORT_VM_STATE. Then an open port of the kind is told of
 * changes until it is forgotten; false: too many are. port_source.c
 */
enum weir_status port_watch_check(const struct vm *vm, weir_handle watched, u8 *of);
bool port_watch(struct port *port);
void port_unwatch(const struct port *port);

/* Nobody has a port that is no channel's, and all rings are empty: so is the list of the free. port.c */
void port_reset_all(struct event_vm *event);
