/*
 * The machine as its device tree tells it, found in two walks over the tree. Read-only after boot.
 * Source: platform.c
 */
#pragma once

#include "core/base/types.h"
#include "drivers/dma.h"
#include "drivers/gic.h"

struct range {
	u64 base, bytes;
};

#define PLATFORM_BANKS	  8
#define PLATFORM_RESERVED 24
#define PLATFORM_VIRTIO	  64
#define PLATFORM_SDHCI	  2

struct platform_cpu {
	u64 mpidr;   /* affinity fields only */
	bool psci;   /* enable-method; else spin table */
	u64 release; /* cpu-release-addr */
};

struct platform_device {
	pa_t base;
	u64 bytes;
	u32 intid;
	bool edge;
};

/* An SD host controller. */
struct platform_sdhci {
	struct platform_device device;
	bool removable; /* it sees whether a card is there */
	bool emmc2;	/* brcm,bcm2711-emmc2: its clock and voltage are the firmware's */
	struct dma_range dma;
};

struct platform {
	struct platform_cpu cpu[MAX_PCPUS]; /* [0] is the boot core */
	u32 cpu_count;
	struct range bank[PLATFORM_BANKS];
	u32 bank_count;
	/* Reserve map, /reserved-memory, the system image, and what platform_reserve() added. */
	struct range reserved[PLATFORM_RESERVED];
	u32 reserved_count;
	bool reserved_widened; /* there were more than that; the last covers several */
	struct gic_registers gic;
	u32 virtual_timer_intid, el2_timer_intid, maintenance_intid;
	u32 timer_hz;			/* the timer's clock-frequency; 0: not there */
	bool psci;			/* /psci with method smc */
	struct platform_device power;	/* brcm,bcm2835-pm; 0 bytes: none */
	struct platform_device mailbox; /* brcm,bcm2835-mbox; 0 bytes: none */
	struct dma_range mailbox_dma;
	struct platform_device uart;
	char uart_compatible[64]; /* the node's list, strings separated by 0 */
	u32 uart_compatible_bytes;
	struct platform_device virtio_mmio[PLATFORM_VIRTIO]; /* ordered by address */
	u32 virtio_mmio_count;
	struct platform_sdhci sdhci[PLATFORM_SDHCI]; /* ordered by address */
	u32 sdhci_count;
	struct range system_image; /* linux,initrd-start/-end; 0 bytes: none */
};

/*
 * Reads the tree. `boot_mpidr` says which cpu node is core 0. Each thing that is missing or
 * malformed is one log line (node, property, what was expected); false if the machine cannot be
 * used: no GIC, memory or timer. Without a UART lines are kept and nobody sees them; still true.
 */
bool platform_read(const void *tree, u64 boot_mpidr, struct platform *platform);

/* Keeps memory from being handed out, such as where the tree lies. */
void platform_reserve(struct platform *platform, struct range range);
