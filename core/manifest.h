/*
 * The system image, read and validated: what configs/ say about VMs, channels and disks (the
 * format: configs/README.md). Strings and blobs point into the
 * image, which stays mapped read-only. Read-only after boot.
 * Source: manifest.c, manifest_*.c
 */
#pragma once

#include "core/base/string.h"
#include "core/base/types.h"

enum vm_right {
	RIGHT_CONSOLE = 1,
	RIGHT_MANAGE = 2,
	RIGHT_INTROSPECT = 4,
	RIGHT_STORE = 8,
};
enum on_fault { ON_FAULT_HALT, ON_FAULT_RESTART, ON_FAULT_STOP_MACHINE };

struct passed; /* core/passthrough.h */

struct blob {
	const void *data;
	u64 bytes; /* 0: none */
};

#define MANIFEST_VM_DISKS   8
#define MANIFEST_VM_DEVICES 8
/* Bytes that the tree written for a VM takes at most, without bootargs and devices of the machine: all, each. */
#define MANIFEST_TREE	     1800u
#define MANIFEST_TREE_VCPU   134u
#define MANIFEST_TREE_VIRTIO 156u
/* More than the ports and disks of all VMs need; what is read at boot stays bounded. */
#define MANIFEST_CHANNELS    8192
#define MANIFEST_DISKS	     512
#define MANIFEST_STORE_NODES 10000 /* of all VMs, without their homes */

struct manifest_vm {
	const char *name;
	bool refused; /* it was wrong and said so; the others run */
	struct blob kernel, ramdisk, tree;
	const char *bootargs; /* 0: none */
	u64 memory_bytes;
	bool memory_in_kib; /* which property said so, for messages */
	bool memory_direct; /* RAM has its physical addresses in the VM, too */
	bool dma_unsafe;    /* devices of the VM may access memory by themselves */
	u64 load_offset;    /* from the start of RAM */
	bool raw;	    /* the kernel is no arm64 Image */
	u32 vcpus;
	u32 core[MAX_VCPUS]; /* physical core of each vCPU */
	bool cores_named;    /* the manifest says so; else they were taken in turn */
	u32 priority;
	u64 budget_us, period_us; /* 0: none */
	u64 shared_bytes, window_bytes;
	u32 ports;
	u64 peers; /* bit n: VM n */
	u64 talks; /* bit n: VM n; by channels, and by `peers` of either */
	u32 store_nodes, store_bytes, store_watches; /* without its home; 0 nodes: it has none */
	u32 rights;
	u32 disk[MANIFEST_VM_DISKS]; /* indices into manifest.disk, the writable ones first */
	u32 disk_count, writable_disk_count;
	const char *devices; /* paths in the machine's tree, each ends in a 0 */
	u32 device_count;
	const struct passed *passed; /* passthrough_find(): the devices themselves */
	u32 passed_count, passed_frames;
	u64 ram_limit; /* RAM had best lie below: the devices of its disks reach no more; 0: any */
	enum on_fault on_fault;
	u64 watchdog_ms, upcall_ms;
	bool pmu;
};

struct manifest_channel {
	const char *name;
	u32 end[2]; /* VM indices, end[0] != end[1] */
};

struct manifest_disk {
	const char *name;
	bool refused; /* it was wrong and said so */
	u32 device;
	u64 first_sector;
	u64 sectors;   /* 0: to the end of the device */
	u32 partition; /* 0: none; else the device's table gives the two above (core/partition.h) */
	bool missing;  /* its partition is not to be had, and a line said so: its requests fail */
	/* manifest_check_disks(): by VMs that are not refused. */
	bool used;
	u64 written_by; /* bit n: VM n may write it */
	u64 writers;	/* the same, or another disk that has sectors of it */
};

struct manifest {
	bool stay;
	u64 watchdog_ms;	 /* of the machine; 0: none */
	u32 communication_cores; /* bit mask */
	struct manifest_vm *vm;
	u32 vm_count;
	struct manifest_channel *channel;
	u32 channel_count;
	struct manifest_disk *disk;
	u32 disk_count;
};

/*
 * Reads the image; arrays come from the heap. A VM that is wrong gets one log line (node, property,
 * expectation, remedy) and `refused`; false only if the blob is no system image at all.
 */
bool manifest_read(const void *image, u64 bytes, u32 cores, struct manifest *manifest);

/*
 * When the machine's disks are known: refuses VMs whose disk is not there, and finds the partitions. What a device
 * holds is no mistake of the manifest's: without the partition of its disk a VM runs. manifest_disks.c
 */
void manifest_check_disks(const struct manifest *manifest);

/*
 * When VMs and channels are known: who may talk to whom, and what each VM has of the store, if the manifest
 * does not say; refuses VMs for whose nodes no room is left. manifest_store.c
 */
#define MANIFEST_STORE_UNSAID UINT32_MAX
void manifest_settle_store(const struct manifest *manifest);
/* Virtio devices that the VM has, from slot 0 on (core/vdev/virtio.h). */
static inline u32 manifest_virtio_devices(const struct manifest_vm *vm)
{
	return vm->disk_count ? vm->disk_count + 1 : 0; /* and a console */
}

/* Is there anybody with whom it could share pages? Else it needs nothing of what grants need. */
static inline bool manifest_may_share(const struct manifest_vm *vm)
{
	return vm->talks != 0;
}

/* Room for the VM's device tree in its RAM: its own, or one that is written for it. */
static inline u64 manifest_tree_room(const struct manifest_vm *vm)
{
	u64 bytes = MANIFEST_TREE + MANIFEST_TREE_VCPU * vm->vcpus +
		    MANIFEST_TREE_VIRTIO * manifest_virtio_devices(vm);

	if (vm->tree.bytes)
		return align_up(vm->tree.bytes, PAGE_SIZE);
	bytes += vm->bootargs ? strlen(vm->bootargs) : 0;
	return align_up(bytes, PAGE_SIZE) + (vm->device_count ? PAGE_SIZE : 0);
}
