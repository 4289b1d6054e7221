/*
 * What the manifest means for the store: who may talk to whom, and what a VM has of it by default
 * (manifest.h).
 */
#include <weir/abi.h>
#include "core/base/log.h"
#include "core/manifest.h"

/* With its home, a page of values at most and half a page of the rest. */
#define DEFAULT_NODES	15u
#define DEFAULT_WATCHES 16u

static void set_default(u32 *value, u32 standard)
{
	if (*value == MANIFEST_STORE_UNSAID)
		*value = standard;
}

static void settle_talks(const struct manifest *manifest)
{
	for (u32 i = 0; i < manifest->channel_count; i++) {
		const struct manifest_channel *channel = &manifest->channel[i];

		manifest->vm[channel->end[0]].talks |= BIT(channel->end[1]);
		manifest->vm[channel->end[1]].talks |= BIT(channel->end[0]);
	}
	for (u32 i = 0; i < manifest->vm_count; i++) {
		manifest->vm[i].talks |= manifest->vm[i].peers;
		for (u64 peers = manifest->vm[i].peers; peers; peers &= peers - 1)
			manifest->vm[__builtin_ctzl(peers)].talks |= BIT(i);
	}
}

void manifest_settle_store(const struct manifest *manifest)
{
	u32 left = MANIFEST_STORE_NODES;

	settle_talks(manifest);
	for (u32 i = 0; i < manifest->vm_count; i++) {
		struct manifest_vm *vm = &manifest->vm[i];
		bool takes_part = vm->talks || vm->rights & RIGHT_STORE;

		set_default(&vm->store_nodes, takes_part ? DEFAULT_NODES : 0);
		set_default(&vm->store_watches, takes_part ? DEFAULT_WATCHES : 0);
		set_default(&vm->store_bytes,
			    vm->store_nodes ? (vm->store_nodes + 1) * WEIR_STORE_VALUE_MAX : 0);
		if (vm->refused)
			continue;
		if (vm->store_nodes <= left) {
			left -= vm->store_nodes;
			continue;
		}
		log_line("manifest: /vms/%s: store-nodes: %u are more than the %u that are left of "
			 "%u; "
			 "lower it",
			 vm->name, vm->store_nodes, left, MANIFEST_STORE_NODES);
		vm->refused = true;
	}
}
