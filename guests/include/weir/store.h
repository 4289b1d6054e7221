/*
 * The store: a tree of names with values, in which VMs find each other and tell what they offer.
 *
 * The root has a child for each VM that takes part: its home, which has the VM's name and belongs to
 * it. Below its home a VM makes nodes as it likes, and below nodes of others where they let it. A node
 * has a name (1 to WEIR_NAME_MAX characters, '!' to '~' without '/'), a value of up to
 * WEIR_STORE_VALUE_MAX bytes, the generation of the value, and an owner: the VM that made it, to which
 * it is charged. Two children of a node have different names if they have the same owner; so nobody
 * can take a name from another, or find out that it is taken.
 *
 * Who may. A node has three masks of VMs; bit n stands for the VM at position n of the manifest, which
 * is bits 15:0 of its handles. They count only for VMs that the manifest lets the owner talk to: that a
 * channel joins it to, or that it names as `peers` or is named by. So ~0 is: everybody whom I may
 * talk to.
 *	read	READ, LIST, FIND and WATCH.
 *	write	WRITE; only with read.
 *	add	MAKE below it; only with read.
 * The owner of a node may all of that, and REMOVE it. The owner of a node above it may read and remove
 * it. A VM with the right "store" may do everything. For others the node is not there: no call tells
 * it from one that has gone.
 *
 * A node is named by a handle. WEIR_STORE_ROOT is that of the root, of which all may list and find what
 * they may read; 0 is the caller's home.
 *
 * Watches. A VM may watch a node: then it hears of changes of it and of its children (not of those
 * below): value or masks changed, made, removed. Each watch that has something makes the VM's port of kind
 * WEIR_PORT_STORE (event.h) pending, and WEIR_FN_STORE_WATCH_NEXT tells which watches have: once each,
 * however many changes there were, of which one look at the nodes then shows the last state. A change from that
 * call on is heard of again. It hears of no change of a node that it may not read; losing that
 * right looks as if the node was removed.
 *
 * Ends. When a VM ends, its nodes are removed, with all below them, also what others have made there,
 * and its watches end. Its home stays, under the same handle, without value, and with the masks of the
 * start: read ~0, write 0, add 0. While a VM ends or is off, nobody makes anything below its home.
 *
 * Each VM has its own quotas (`store-nodes`, `store-bytes`, `store-watches` of the manifest), so that
 * no VM can use up what others have. A VM that may talk to nobody has no home and none of these, unless its
 * manifest gives it some.
 *
 * WEIR_STALE, of all calls with a node in x1: it has gone, or the caller may not read it, or it never was.
 *
 * WEIR_FN_STORE_FIND: the child of a name.
 *   in:  x1 = node, x2 = bytes of the name, at weir_in.buffer; x3 = handle of the VM whose child it is,
 *	  0: of the same owner as x1. Of the root, 0: homes.
 *   out: x1 = the child's handle.
 *   errors: WEIR_INVALID: x2 is out of range, or the name has other characters. WEIR_STALE.
 *	     WEIR_NOT_FOUND: there is none, or it is not the caller's to read.
 *
 * WEIR_FN_STORE_MAKE: a new node, without a value, of generation 1.
 *   in:  x1 = node above it, x2 = bytes of the name, at weir_in.buffer; x3 = mask read, x4 = mask
 *	  write, x5 = mask add.
 *   out: x1 = its handle.
 *   errors: WEIR_INVALID: x2 is out of range, the name has other characters, or the node would be deeper than
 *	     WEIR_STORE_DEPTH. WEIR_STALE. WEIR_DENIED: the caller may not add. WEIR_CLOSED: the VM whose
 *	     home it would be in ends or is off. WEIR_BUSY: the caller has one of that name there.
 *	     WEIR_QUOTA: the caller has as many nodes as `store-nodes` says.
 *
 * WEIR_FN_STORE_READ: the value.
 *   in:  x1 = node.
 *   out: x1 = generation of the value, x2 = its bytes, x3 = handle of its owner, as the owner's life is now;
 *	  0: the root. The value at weir_out.store_value of the calling vCPU.
 *   errors: WEIR_STALE.
 *
 * WEIR_FN_STORE_WRITE: another value.
 *   in:  x1 = node, x2 = bytes of the value, at weir_in.buffer; x3 = the generation that it must have,
 *	  0: any.
 *   out: x1 = the new generation.
 *   errors: WEIR_INVALID: x2 is out of range. WEIR_STALE. WEIR_DENIED: the caller may not write, or it is the
 *	     root. WEIR_AGAIN: it has another generation. WEIR_QUOTA: all values of the node's owner
 *	     would be more than `store-bytes`.
 *
 * WEIR_FN_STORE_REMOVE: remove a node that has no children.
 *   in:  x1 = node, x2 = the generation that it must have, 0: any.
 *   errors: WEIR_STALE. WEIR_DENIED: the caller may not remove it, or it is the root or a home.
 *	     WEIR_AGAIN: it has another generation. WEIR_BUSY: it has children (of others, perhaps,
 *	     that the caller may remove; it takes the mask add back first).
 *
 * WEIR_FN_STORE_LIST: the children of a node that the caller may read, one after the other, in no certain
 *   order. A child that is there all the time is told once, whatever changes meanwhile.
 *   in:  x1 = node, x2 = where to go on: 0 at first, then what the last call said.
 *   out: x1 = handle of a child, 0: none so far, go on; x2 = where to go on; x3 = handle of its owner. Its
 *	  name at weir_out.store_name of the calling vCPU, filled up with zeroes.
 *   errors: WEIR_STALE. WEIR_NOT_FOUND: there are no more.
 *
 * WEIR_FN_STORE_ALLOW: other masks.
 *   in:  x1 = node, x2 = mask read, x3 = mask write, x4 = mask add.
 *   errors: WEIR_STALE. WEIR_DENIED: the caller is not its owner and has no right "store"; or it is the root.
 *
 * WEIR_FN_STORE_WATCH: watch a node, or no more. What is so already is WEIR_OK.
 *   in:  x1 = node, x2 = 1: watch, 0: no more (also of a node that has gone: what its watch still had to
 *	  tell is not told any more).
 *   errors: WEIR_INVALID: x2 is neither. WEIR_STALE (x2 = 1). WEIR_QUOTA: the VM has as many watches as
 *	     `store-watches` says.
 *
 * WEIR_FN_STORE_WATCH_NEXT: the next watch that has something to tell.
 *   in:  nothing.
 *   out: x1 = the node, 0: none so far, go on; x2 = 1: it has gone, or is not the VM's to read any more,
 *	  and the watch has ended.
 *   errors: WEIR_NOT_FOUND: none. What there is from now on raises the event.
 *
 * Each call is bounded. Others wait for it that long at most, however many nodes, children and
 * watches there are; where many VMs watch a node the caller goes on when all
 * of them are told, and more urgent VMs of its core run in between.
 *
 * Source: ipc/store.c, ipc/store_*.c. Tests: tests/guest/store.c, tests/host/test_store*.c,
 * tests/host/test_advisories_store.c. Since ABI 1.
 */
#pragma once

#include <stdbool.h>
#include <weir/event.h>

#define WEIR_STORE_ROOT 0x10000ull
#define WEIR_STORE_ALL	(~0ull) /* a mask: all VMs that the owner may talk to */
/* Of a home; the root's is 0. */
#define WEIR_STORE_DEPTH_HOME 1u
#define WEIR_STORE_DEPTH      8u

/* Of a VM's handle: its bit in a mask. */
static inline uint64_t weir_store_mask(weir_handle vm)
{
	return 1ull << (vm & 63u);
}

struct weir_store_value {
	uint64_t generation;
	weir_handle owner; /* the VM that the node belongs to */
	uint32_t bytes;
	uint8_t data[WEIR_STORE_VALUE_MAX];
};

struct weir_store_child {
	weir_handle node;
	weir_handle owner;
	char name[WEIR_NAME_MAX + 1]; /* 0-terminated */
};

/* So many bytes of a name for a call: what is too long the call refuses. */
static inline uint64_t weir_store_name(const struct weir_pages *pages, const char *name)
{
	uint64_t bytes = __builtin_strlen(name);

	if (bytes <= WEIR_NAME_MAX)
		__builtin_memcpy(pages->in->buffer, name, bytes);
	return bytes;
}

/* None of the functions is to be called from a handler that may interrupt another one on its vCPU. */

/* `owner`: 0 for the same owner as `parent`. `name` is 0-terminated. */
static inline enum weir_status weir_store_find(const struct weir_pages *pages, weir_handle parent,
					       const char *name, weir_handle owner,
					       weir_handle *node)
{
	uint64_t bytes = weir_store_name(pages, name);
	struct weir_result result =
		weir_call(WEIR_FN(WEIR_FN_STORE_FIND), parent, bytes, owner, 0, 0, 0);

	if ((enum weir_status)result.status == WEIR_OK)
		*node = result.value[0];
	return (enum weir_status)result.status;
}

/* WEIR_FN_STORE_MAKE; `name` is 0-terminated, `read`, `write` and `add` are masks of VMs. */
static inline enum weir_status weir_store_make(const struct weir_pages *pages, weir_handle parent,
					       const char *name, uint64_t read, uint64_t write,
					       uint64_t add, weir_handle *node)
{
	uint64_t bytes = weir_store_name(pages, name);
	struct weir_result result =
		weir_call(WEIR_FN(WEIR_FN_STORE_MAKE), parent, bytes, read, write, add, 0);

	if ((enum weir_status)result.status == WEIR_OK)
		*node = result.value[0];
	return (enum weir_status)result.status;
}

/* WEIR_FN_STORE_READ; only the first value->bytes of value->data are written. */
static inline enum weir_status weir_store_read(const struct weir_pages *pages, weir_handle node,
					       struct weir_store_value *value)
{
	struct weir_result result = weir_call(WEIR_FN(WEIR_FN_STORE_READ), node, 0, 0, 0, 0, 0);

	if ((enum weir_status)result.status != WEIR_OK)
		return (enum weir_status)result.status;
	value->generation = result.value[0];
	value->bytes = (uint32_t)result.value[1];
	value->owner = result.value[2];
	__builtin_memcpy(value->data, pages->out->store_value, value->bytes);
	return WEIR_OK;
}

/* `generation` may be 0: it is not told. `expected`: 0 for any. */
static inline enum weir_status weir_store_write(const struct weir_pages *pages, weir_handle node,
						const void *data, uint32_t bytes, uint64_t expected,
						uint64_t *generation)
{
	struct weir_result result;

	if (bytes <= WEIR_STORE_VALUE_MAX) /* else the call says that it is not */
		__builtin_memcpy(pages->in->buffer, data, bytes);
	result = weir_call(WEIR_FN(WEIR_FN_STORE_WRITE), node, bytes, expected, 0, 0, 0);
	if ((enum weir_status)result.status == WEIR_OK && generation)
		*generation = result.value[0];
	return (enum weir_status)result.status;
}

/* `expected`: 0 for any. */
static inline enum weir_status weir_store_remove(weir_handle node, uint64_t expected)
{
	return weir_do(WEIR_FN_STORE_REMOVE, node, expected, 0, 0, 0);
}

/* The next child; *at is 0 at first. WEIR_NOT_FOUND: there are no more. */
static inline enum weir_status weir_store_list(const struct weir_pages *pages, weir_handle parent,
					       uint64_t *at, struct weir_store_child *child)
{
	struct weir_result result;

	do {
		result = weir_call(WEIR_FN(WEIR_FN_STORE_LIST), parent, *at, 0, 0, 0, 0);
		if ((enum weir_status)result.status != WEIR_OK)
			return (enum weir_status)result.status;
		*at = result.value[1];
	} while (!result.value[0]);
	child->node = result.value[0];
	child->owner = result.value[2];
	__builtin_memcpy(child->name, pages->out->store_name, sizeof(child->name));
	return WEIR_OK;
}

static inline enum weir_status weir_store_allow(weir_handle node, uint64_t read, uint64_t write,
						uint64_t add)
{
	return weir_do(WEIR_FN_STORE_ALLOW, node, read, write, add, 0);
}

static inline enum weir_status weir_store_watch(weir_handle node, bool watch)
{
	return weir_do(WEIR_FN_STORE_WATCH, node, watch, 0, 0, 0);
}

/* WEIR_NOT_FOUND: no watch has anything to tell. `gone`: the watch has ended. */
static inline enum weir_status weir_store_watch_next(weir_handle *node, bool *gone)
{
	struct weir_result result;

	do {
		result = weir_call(WEIR_FN(WEIR_FN_STORE_WATCH_NEXT), 0, 0, 0, 0, 0, 0);
		if ((enum weir_status)result.status != WEIR_OK)
			return (enum weir_status)result.status;
	} while (!result.value[0]);
	*node = result.value[0];
	*gone = result.value[1] != 0;
	return WEIR_OK;
}

/*
 * Removes what is directly below a node that is the caller's, or that it may remove, and the node. It
 * lets nobody add to it first. WEIR_BUSY: a child has children; remove those first.
 */
static inline enum weir_status weir_store_remove_all(const struct weir_pages *pages,
						     weir_handle node)
{
	struct weir_store_child child;
	uint64_t at = 0;

	weir_store_allow(node, 0, 0, 0); /* if the caller may */
	while (weir_store_list(pages, node, &at, &child) == WEIR_OK)
		weir_store_remove(child.node, 0);
	return weir_store_remove(node, 0);
}
