/* Two VMs, a and b: a offers the service "a/in", and nobody has joined. For tests of who joins it. */
#pragma once

#include <weir/service.h>
#include "ipc_memory.h"

#define VMS 2u

static struct weir_space spaces[VMS];
static struct weir_pages pages[VMS];
static struct weir_offer offer; /* a's */

static inline int machine_make(void **state)
{
	static const char *const channels[] = { "ab", 0 };

	(void)state;
	ipc_vms_set_store(0, 32, 4096, 32);
	ipc_vms_set_store(1, 32, 4096, 32);
	ipc_vms_make(VMS, 1, channels);
	ipc_memory_make(VMS);
	for (u32 vm = 0; vm < VMS; vm++) {
		spaces[vm] = ipc_memory_space(vm);
		pages[vm] = ipc_pages(vm, 0);
	}
	offer = (struct weir_offer){ 0 };
	ipc_run(0, 0);
	assert_int_equal(weir_service_offer(&pages[0], "in", WEIR_STORE_ALL, &offer), WEIR_OK);
	return 0;
}

#define RUN_MADE(name) cmocka_unit_test_setup_teardown(name, machine_make, ipc_memory_end)
