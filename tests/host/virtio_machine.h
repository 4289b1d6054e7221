/*
 * A VM with two virtio disks and a console, real core/vdev/virtio*.c and ipc/block*.c behind them, and a disk that does
 * what it is told when it is told. Disk 1 may be written by another VM, too. A physical address is the host's pointer.
 *
 * The disk checks each request: its sectors and memory are the VM's, and none of its pages is shared; a sector begins with
 * its number. For test_virtio*.c and tests/fuzz/fuzz_virtio.c. Source: virtio_machine.c, virtio_play.c
 */
#pragma once

#include "fake.h"
#include "core/vdev/virtio.h"
#include "core/vdev/virtio_console.h"
#include "core/vm.h"

#define VIRTIO_RAM_PAGES  64u
#define VIRTIO_POOL_PAGES 16u /* the last ones */
#define VIRTIO_SECTORS	  256u
#define VIRTIO_QUEUE	  16u

/* What a driver keeps in guest memory: at the start of a page. */
struct virtio_memory {
	struct {
		u64 address;
		u32 bytes;
		u16 flags, next;
	} descriptor[VIRTIO_QUEUE];
	struct {
		u16 flags, index, ring[VIRTIO_QUEUE], used_event;
	} available;
	struct {
		u16 flags, index;
		struct {
			u32 id, bytes;
		} ring[VIRTIO_QUEUE];
		u16 available_event;
	} used;
};

struct virtio_header {
	u32 type, reserved;
	u64 sector;
};

extern struct vm virtio_vm;
extern struct vcpu virtio_vcpu[2];

void virtio_machine_make(bool write_through);
void virtio_machine_free(void);

u8 *virtio_ram(u64 offset);
u64 virtio_ipa(const void *in_ram);

u64 virtio_access(u32 vcpu, u32 slot, u32 offset, u32 bytes, bool write, u64 value);
/* The same by vCPU 0; True of a store: it is to be executed again. */
u64 virtio_load(u32 slot, u32 offset, u32 bytes);
bool virtio_store(u32 slot, u32 offset, u32 bytes, u64 value);
u32 virtio_get(u32 slot, u32 offset);
/* Again and again, while the disk does what it has. */
void virtio_set(u32 slot, u32 offset, u32 value);

u32 virtio_disk_queued(void);
bool virtio_disk_done(
	enum weir_status status); /* the oldest, and all interrupts; false: there is none */
bool virtio_disk_end(enum weir_status status); /* the same without them; false: there was none */
bool virtio_disk_interrupt(void);	       /* one; false: none was there */
bool virtio_disk_wait(void);		       /* until the next timeout; false: there is none */
u32 virtio_disk_flushes(void);
u32 virtio_disk_requests(void);		 /* until now */
u32 virtio_disk_tables(void);		 /* of these, with a table */
bool virtio_line(u32 slot);		 /* its interrupt */
u32 virtio_edges(u32 slot);		 /* of it, since it was asked last */
bool virtio_share(u32 page, bool share); /* of the pool; false: it is busy */
void virtio_stop(void);			 /* the VM ends, and is built anew when all is done */
const char *virtio_printed(void);
void virtio_console_stuck(bool stuck);

/* A driver that is well behaved: resets, negotiates `features` beside VERSION_1, makes a queue at the page. */
struct virtio_memory *virtio_drive(u32 slot, u64 features, u32 queue, u32 page);
/* The same with a queue of any size, whose parts are wherever the driver likes. */
void virtio_drive_at(u32 slot, u64 features, u32 queue, u32 size, const u64 *parts);

/* So many steps of drivers that do anything; `next` gives numbers. Then the disk works as on the first day. */
void virtio_play(u32 (*next)(void), u32 steps);
