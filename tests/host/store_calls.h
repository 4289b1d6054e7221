/* The store's calls by VM, for the tests of it: each with what it answers. */
#pragma once

#include <string.h>
#include <weir/store.h>
#include "ipc_vms.h"

#define ALL WEIR_STORE_ALL

static inline weir_handle vm_handle(u32 vm)
{
	return ipc_vm(vm)->life << 16 | vm;
}

static inline weir_handle home(u32 vm)
{
	return 1ul << 16 | ipc_vm(vm)->ipc->store.base;
}

static inline enum weir_status make(u32 vm, weir_handle parent, const char *name, u64 read,
				    u64 write, u64 add, weir_handle *node)
{
	struct weir_pages pages = ipc_pages(vm, 0);

	ipc_run(vm, 0);
	return weir_store_make(&pages, parent, name, read, write, add, node);
}

static inline weir_handle made(u32 vm, weir_handle parent, const char *name, u64 read, u64 write,
			       u64 add)
{
	weir_handle node = 0;

	assert_int_equal(make(vm, parent, name, read, write, add, &node), WEIR_OK);
	return node;
}

static inline enum weir_status find(u32 vm, weir_handle parent, const char *name, weir_handle owner,
				    weir_handle *node)
{
	struct weir_pages pages = ipc_pages(vm, 0);

	ipc_run(vm, 0);
	return weir_store_find(&pages, parent, name, owner, node);
}

static inline enum weir_status store_write(u32 vm, weir_handle node, const char *text, u64 expected)
{
	struct weir_pages pages = ipc_pages(vm, 0);

	ipc_run(vm, 0);
	return weir_store_write(&pages, node, text, (u32)strlen(text), expected, 0);
}

static inline enum weir_status store_read(u32 vm, weir_handle node, struct weir_store_value *value)
{
	struct weir_pages pages = ipc_pages(vm, 0);

	ipc_run(vm, 0);
	memset(value, 0, sizeof(*value));
	return weir_store_read(&pages, node, value);
}

static inline void assert_value(u32 vm, weir_handle node, const char *text, u64 generation)
{
	struct weir_store_value value;

	assert_int_equal(store_read(vm, node, &value), WEIR_OK);
	assert_int_equal(value.bytes, strlen(text));
	assert_memory_equal(value.data, text, value.bytes);
	assert_int_equal(value.generation, generation);
}

static inline enum weir_status store_remove(u32 vm, weir_handle node, u64 expected)
{
	ipc_run(vm, 0);
	return weir_store_remove(node, expected);
}

static inline enum weir_status allow(u32 vm, weir_handle node, u64 read, u64 write, u64 add)
{
	ipc_run(vm, 0);
	return weir_store_allow(node, read, write, add);
}

static inline enum weir_status watch(u32 vm, weir_handle node, bool on)
{
	ipc_run(vm, 0);
	return weir_store_watch(node, on);
}

/* What the VM's next watch tells; 0: none. With 1 added: the watch has ended. */
static inline weir_handle fired(u32 vm)
{
	weir_handle node;
	bool gone;

	ipc_run(vm, 0);
	return weir_store_watch_next(&node, &gone) == WEIR_OK ? node | (u64)gone << 63 : 0;
}

#define GONE (1ul << 63)

/* How many children of a node the VM may read; `found` is set if `node` is one of them. */
static inline u32 children(u32 vm, weir_handle parent, weir_handle node, bool *found)
{
	struct weir_pages pages = ipc_pages(vm, 0);
	struct weir_store_child child;
	u64 at = 0;
	u32 count = 0;

	ipc_run(vm, 0);
	*found = false;
	while (weir_store_list(&pages, parent, &at, &child) == WEIR_OK) {
		*found |= child.node == node;
		count++;
	}
	return count;
}

static inline weir_handle open_store(u32 vm)
{
	weir_handle port = 0;

	ipc_run(vm, 0);
	assert_int_equal(weir_port_open_store(&port), WEIR_OK);
	return port;
}

/* The next event of a VM's vCPU 0; -1: none. */
static inline s32 next_event(u32 vm)
{
	struct weir_pages pages = ipc_pages(vm, 0);
	u32 number;

	return weir_event_next(&pages, &number) ? (s32)number : -1;
}
