/*
 * Numbers of VIRTIO 1.2 that both sides of a device use: our driver of the machine's disks (virtio_blk.c), and the
 * devices that VMs see (core/vdev/virtio.c). For .c files only.
 */
#pragma once

/* Registers, 4.2.2. */
#define MAGIC		 0x000u
#define VERSION		 0x004u
#define DEVICE_ID	 0x008u
#define VENDOR_ID	 0x00cu
#define DEVICE_FEATURES	 0x010u
#define DEVICE_SELECT	 0x014u
#define DRIVER_FEATURES	 0x020u
#define DRIVER_SELECT	 0x024u
#define QUEUE_SELECT	 0x030u
#define QUEUE_NUM_MAX	 0x034u
#define QUEUE_NUM	 0x038u
#define QUEUE_READY	 0x044u
#define QUEUE_NOTIFY	 0x050u
#define INTERRUPT_STATUS 0x060u
#define INTERRUPT_ACK	 0x064u
#define STATUS		 0x070u
#define QUEUE_DESCRIPTOR 0x080u /* low; high is 4 further, as in the next two */
#define QUEUE_AVAILABLE	 0x090u
#define QUEUE_USED	 0x0a0u
#define SHARED_MEMORY	 0x0b0u /* length and base */
#define GENERATION	 0x0fcu
#define CONFIGURATION	 0x100u

#define MAGIC_VALUE 0x74726976u /* "virt" */

/* Device status, 2.1. */
#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER	   2u
#define STATUS_DRIVER_OK   4u
#define STATUS_FEATURES_OK 8u
#define STATUS_NEEDS_RESET 64u
#define STATUS_FAILED	   128u

#define INTERRUPT_USED		1u
#define INTERRUPT_CONFIGURATION 2u

#define DESCRIPTOR_NEXT	    1u
#define DESCRIPTOR_WRITE    2u
#define DESCRIPTOR_INDIRECT 4u
