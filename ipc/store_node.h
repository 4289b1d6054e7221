/*
 * Between the files of the store: what a node is, and who may do what with it.
 *
 * Nodes are numbered from 0, the root, which is nobody's. Each VM has a range of numbers of its own: its
 * home first, then those for the nodes that it makes. So a VM's quota is room that nobody else can use
 * up, and whose a number is never changes. 0 as a link is none: the root is never linked to.
 *
 * Invariants, under the lock: a node that lives has a parent that lives, so it is removed before that;
 * it is in the tree of its owner (a home: in that of the homes), sorted by parent and name; `watch` has a bit
 * for each VM that has an entry with its handle in its table of watches.
 */
#pragma once

#include "ipc/ipc.h"

#define STORE_INDEX_BITS 16
#define STORE_NAME_WORDS ((WEIR_NAME_MAX + 1) / 8)
#define STORE_NOBODY	 0xffu

/* A name, filled up with zeroes: compared and copied as words. */
struct store_name {
	u64 word[STORE_NAME_WORDS];
};

struct store_value {
	u64 word[WEIR_STORE_VALUE_MAX /
		 8]; /* zero behind what the value has, to its last word's end */
};

struct store_node {
	weir_handle handle;   /* generation << 16 | number: the next one's, if it does not live */
	u64 generation;	      /* of the value */
	u64 read, write, add; /* bit n: VM n */
	u64 watch;	      /* who watches it */
	u64 fired;	      /* of these: who has not been told yet */
	struct store_name name;
	u16 branch[2];	    /* in its tree: smaller, greater */
	u16 parent, child;  /* child: the last that was made */
	u16 next, previous; /* of the same parent; next also in a list of free ones */
	u8 height;	    /* in its tree */
	u8 owner;	    /* fixed: VM id; STORE_NOBODY: the root */
	u8 depth;	    /* of the root 0 */
	u8 bytes;	    /* of the value */
	bool lives;
};

struct store {
	struct spinlock lock;
	u32 count; /* fixed after boot; 0: no VM takes part */
	u64 lords; /* fixed: VMs with the right "store" */
	u64 tell;  /* whom the lock's holder has to tell of its changes; else 0 */
	u16 homes; /* the tree of homes */
	struct store_vm *vm[MAX_VMS]; /* fixed; 0: there is no such VM */
	struct store_node *node;
	struct store_value *value; /* by the same number */
};

extern struct store store;

static inline struct store_node *store_node(u32 index)
{
	return &store.node[index];
}

static inline u32 store_index(const struct store_node *node)
{
	return (u32)(node->handle & (BIT(STORE_INDEX_BITS) - 1));
}

static inline struct store_vm *store_owner(const struct store_node *node)
{
	return store.vm[node->owner];
}

/* The VMs that own the node or one above it. */
u64 store_owners(const struct store_node *node) NEEDS(&store.lock);
/* Those that a mask of the node means: nobody can give a right to whom it may not talk to. */
static inline u64 store_meant(const struct store_node *node, u64 mask)
{
	return (node->depth ? mask & store_owner(node)->talks : 0) | store.lords;
}
u64 store_readers(const struct store_node *node) NEEDS(&store.lock);
/* What store_readers() says of one VM. */
bool store_may_read(const struct store_node *node, u32 vm) NEEDS(&store.lock);
/* The VM's as it is now, without a lock; 0: the root has no owner. */
u64 store_owner_handle(const struct store_node *node);
/* The node of a handle, 0: the VM's home; 0: WEIR_STALE. */
struct store_node *store_lookup(const struct vm *vm, weir_handle handle) NEEDS(&store.lock);

/* A name in the caller's `in` page. False: it is none. No lock. */
bool store_copy_name(const struct vcpu *self, u64 bytes, struct store_name *name);

/* The node with this parent and name, 0: there is none. */
u32 store_tree_find(u16 root, u32 parent, const struct store_name *name) NEEDS(&store.lock);
void store_tree_insert(u16 *root, u32 index) NEEDS(&store.lock);
void store_tree_remove(u16 *root, u32 index) NEEDS(&store.lock);

/* Makes the number a node below `parent`; its masks are 0. */
void store_link(u32 index, u32 parent, u16 *tree, const struct store_name *name) NEEDS(&store.lock);
/* A node without children that is no home; its watches learn of it. */
void store_unlink(struct store_node *node) NEEDS(&store.lock);

/* Something of the node is another: whoever watches it or its parent, and is among `readers`. */
void store_changed(struct store_node *node, u64 readers) NEEDS(&store.lock);
/* Ends some of the VM's watches from this place of its table on; the next place. Without the lock. */
u32 store_watch_stop(const struct vm *vm, u32 at);
/* Gives the lock back, then tells a few VMs that a watch has something. The others are told in steps of the vCPU. */
#define STORE_TELL_AT_ONCE 2u
void store_tell(struct vcpu *self) RELEASES(&store.lock);
/* A step of that; true: there are more to be told. By the vCPU's core, or when the vCPU is on none. Without the lock. */
bool store_tell_more(struct vcpu *vcpu);
