/*
 * Which ports grants go by (grant_table.h): what is rare of it, ports that were opened by call and grants that are
 * passed on.
 *
 * Owns:  `grants` of such a port: how many grants that its VM has given go by it, and how many mappings of that VM's
 *	  window. A port is closed only when it is 0, under the same lock.
 * Locks: vm->ipc->grant.lock of the VMs that a grant concerns; the rest as grant.c has it.
 *
 * A VM's own grants and mappings hold its own port only: so no peer keeps it from closing.
 */
#include "ipc/grant_table.h"

#define GRANTS_MAX 0xffffu /* that are counted */

RARE APART enum weir_status grant_port_hold(struct port *port, weir_handle handle)
{
	if (read_once(port->handle) != handle)
		return WEIR_STALE;
	if (port->grants == GRANTS_MAX)
		return WEIR_BUSY;
	port->grants++;
	return WEIR_OK;
}

RARE APART void grant_port_release(struct grant_vm *own, u32 number)
{
	container_of(own, struct vm_ipc, grant)->event.port[number].grants--;
}

/* The lock of each VM of a mask, in the order of their ids. */
static void lock_all(u64 vms) NO_THREAD_SAFETY
{
	for (; vms; vms &= vms - 1)
		grant_lock(vm_get((u32)__builtin_ctzl(vms)));
}

/* Neither end is closed while both VMs are locked: so what is joined then stays so. */
static bool holds(const struct port *port, weir_handle handle, const struct port *peer)
{
	if (port->kind == PORT_CHANNEL)
		return true;
	return read_once(port->handle) == handle && read_once(peer->peer) == port &&
	       port->grants < GRANTS_MAX;
}

RARE APART bool grant_way_lock(const struct vm *home, const struct port *port, weir_handle handle,
			       const struct port *peer, const struct grant *grant) NO_THREAD_SAFETY
{
	const struct vm *vm = port->owner->vm, *giver = peer->owner->vm;
	const struct grant_vm *theirs = &giver->ipc->grant;
	const struct window_page *page;

	lock_all(BIT(vm->id) | BIT(home->id) | BIT(giver->id));
	if (!holds(port, handle, peer))
		return false;
	if (giver == home)
		return grant->port == port_number(peer);
	if (!grant->mapped || grant->holder != giver->id || theirs->stopped)
		return false;
	page = &theirs->window[grant->window_page];
	return page->state == WINDOW_OFFERED && page->port == port_number(peer);
}

RARE APART void grant_way_unlock(const struct vm *home, struct port *port, const struct vm *giver,
				 enum weir_status status) NO_THREAD_SAFETY
{
	if (status == WEIR_OK && port->kind != PORT_CHANNEL)
		port->grants++;
	if (giver != home && giver != port->owner->vm)
		spin_unlock(&giver->ipc->grant.lock);
}
