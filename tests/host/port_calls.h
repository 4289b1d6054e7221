/*
 * What tests of ports have in common (test_port.c, test_port_life.c): three VMs of two vCPUs on the machine of
 * ipc_vms.h, and calls by vCPU 0 of one of them.
 */
#pragma once

#include <weir/event.h>
#include "ipc_vms.h"

#define PORTS	   8u
#define GENERATION (1ul << 16)
#define CHANNEL	   GENERATION /* a to b at both ends; a to c is the next one at a */

/* Of eight ports a has two with channels, b and c have one. */
static const char *const channels[] = { "ab", "ac", 0 };

static inline int machine_make(void **state)
{
	(void)state;
	ipc_vms_set_ports(PORTS);
	ipc_vms_make(3, 2, channels);
	return 0;
}

/* Its end of the channel between a and b; of c's, that to a. */
static inline weir_handle channel(u32 vm)
{
	return ipc_vm(vm)->ipc->event.port[0].handle;
}

static inline weir_handle open_ipi(u32 vm)
{
	weir_handle port = 0;

	ipc_run(vm, 0);
	assert_int_equal(weir_port_open_ipi(&port), WEIR_OK);
	return port;
}

/* A port of a's for b, or of b's for a. */
static inline weir_handle open_peer(u32 vm)
{
	weir_handle port = 0;

	ipc_run(vm, 0);
	assert_int_equal(weir_port_open_peer(channel(vm), &port), WEIR_OK);
	return port;
}

static inline weir_handle connect_to(u32 vm, weir_handle theirs)
{
	weir_handle port = 0;

	ipc_run(vm, 0);
	assert_int_equal(weir_port_connect(channel(vm), theirs, &port), WEIR_OK);
	return port;
}

static inline bool peer_open(u32 vm, weir_handle port)
{
	bool open = false;

	ipc_run(vm, 0);
	assert_int_equal(weir_port_peer(port, 0, &open), WEIR_OK);
	return open;
}

static inline s64 open_call(u64 kind, u64 what)
{
	return weir_do(WEIR_FN_PORT_OPEN, kind, what, 0, 0, 0);
}

static inline s64 connect_call(u64 joined, u64 theirs)
{
	return weir_do(WEIR_FN_PORT_CONNECT, joined, theirs, 0, 0, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, machine_make, ipc_vms_end)
