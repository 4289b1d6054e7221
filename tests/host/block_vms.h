/*
 * The block service with the virtio-blk driver under it, against a model of the device, for test_block*.c and
 * test_virtio_blk.c.
 *
 * Two VMs, a and b, share device 0; device 1 is a's alone. The guest's side are the wrappers of
 * weir/block.h. A physical address is the host's pointer, so the model moves data by memcpy. Source: block_vms.c
 */
#pragma once

#include <weir/block.h>
#include "virtio_mmio.h"
#include "core/vm.h"
#include "drivers/block_device.h"
#include "ipc/block.h"
#include "ipc/ipc.h"

#define SECTORS	   4096u
#define RAM_BYTES  (2 * MIB - PAGE_SIZE)
#define POOL_BYTES (64 * KIB)
#define FIRST	   16u /* sector where disk "part" begins */
#define PART	   64u
#define BUFFER	   (VM_RAM_BASE + PAGE_SIZE) /* IPA */
#define POOL	   (VM_RAM_BASE + RAM_BYTES - POOL_BYTES)

/* Disk indices of VM a. b has only "whole", as 0. */
enum { A_WHOLE, A_PART, A_OTHER, A_MISSING, A_READ_ONLY, A_DISKS };

extern struct fake_virtio hardware[2];
extern u8 medium[2][SECTORS * WEIR_SECTOR_SIZE];

extern struct vm vms[2];
static struct vm *const a = &vms[0], *const b = &vms[1];
extern struct vcpu *self;	     /* who makes the next call */
extern struct manifest_disk disks[]; /* a test may change it, and then has the VMs made anew */
extern u64 shared_ipa;		     /* one page of a is in a grant, 0: none */
extern u32 device_done[2];	     /* vm_device_done() for each VM */
extern u32 device_done_idle[2];	     /* those of them when it was idle */

/* For RUN_DRIVER: two devices that nobody has found yet. For RUN_SERVICE: and the VMs. */
int set_up_hardware(void **state);
int tear_down_hardware(void **state);
int set_up(void **state);
void make_machine(void);     /* the VMs anew */
int tear_down(void **state); /* nothing waits any more, and every request is accounted for */

#define RUN_DRIVER(name)  cmocka_unit_test_setup_teardown(name, set_up_hardware, tear_down_hardware)
#define RUN_SERVICE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* What a guest does, the one of `self`. */
enum weir_status submit(u32 disk, enum weir_block_operation operation, u64 sector, u64 sectors,
			u64 ipa, u64 cookie);
enum weir_status read_one(u64 cookie);
bool next(struct weir_completion *completion);
void expect_next(u64 cookie, enum weir_status status);
void expect_none(void);
u8 *ram_at(struct vm *vm, u64 ipa);

/* The driver looks for a disk at device `index`. */
bool probe(u32 index);
/* The device's interrupt; true: it is raised again. */
bool interrupt_once(u32 device);
void interrupt(u32 device); /* as often as it is raised */
void serve_all(u32 device); /* the device does all that it has */
/* 64 of a's first vCPU and 21 of its second are what a queue of 256 descriptors holds. */
void fill_device(void);

/* All steps of the end, of a new life, of a VM's requests. */
void stop_all(struct vm *vm);
void reset_all(struct vm *vm);
