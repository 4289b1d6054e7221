/*
 * The interrupt controller's registers for test guests, and its CPU interface by hand: what a guest takes with
 * its interrupts masked. GICv2 (IHI 0048) or GICv3 (IHI 0069), whichever the VM has; vCPU 0's redistributor.
 */
#pragma once

#include "guests/lib/runtime.h"
#include "tests/guest/gic_offsets.h"
#include "tests/guest/tap.h"

#define UART_IMSC  0x09000038ul
#define UART_ICR   0x09000044ul
#define UART_TX	   (1u << 5)
#define UART_INTID 33u

/* SPIs that no device of the VM uses. */
#define SPI_FIRST 64u
#define SPI_COUNT 96u

#define GIC_NOTHING 1023u

static inline uint32_t read32(uint64_t address)
{
	return *(volatile uint32_t *)address;
}

static inline void write32(uint64_t address, uint32_t value)
{
	*(volatile uint32_t *)address = value;
}

static inline void write8(uint64_t address, uint8_t value)
{
	*(volatile uint8_t *)address = value;
}

/* Where the registers of a private interrupt of vCPU 0 are. */
static inline uint64_t private_base(void)
{
	return gic_version() == 3 ? GICR_BASE + GICR_SGI_FRAME : GICD_BASE;
}

static inline uint64_t bit_register(uint32_t which, uint32_t intid)
{
	return (intid < 32 ? private_base() : GICD_BASE) + which + intid / 32 * 4;
}

static inline void set_bit(uint32_t which, uint32_t intid)
{
	write32(bit_register(which, intid), 1u << intid % 32);
}

static inline bool get_bit(uint32_t which, uint32_t intid)
{
	return read32(bit_register(which, intid)) >> intid % 32 & 1;
}

static inline void set_priority(uint32_t intid, uint8_t priority)
{
	write8((intid < 32 ? private_base() : GICD_BASE) + GICD_IPRIORITYR + intid, priority);
}

static inline void set_edge(uint32_t intid)
{
	uint64_t address = GICD_BASE + GICD_ICFGR + intid / 16 * 4;

	write32(address, read32(address) | 2u << intid % 16 * 2);
}

static inline void write64(uint64_t address, uint64_t value)
{
	*(volatile uint64_t *)address = value;
}

static inline uint64_t read64(uint64_t address)
{
	return *(volatile uint64_t *)address;
}

static inline uint8_t read8(uint64_t address)
{
	return *(volatile uint8_t *)address;
}

/* Takes the most urgent interrupt, with its sender if it is an SGI of GICv2; GIC_NOTHING: there is none. */
static inline uint32_t gic_take(void)
{
	uint64_t intid;

	if (gic_version() == 2)
		return read32(GICC_BASE + GICC_IAR);
	__asm__ volatile("mrs %0, s3_0_c12_c12_0\n\tdsb sy" : "=r"(intid)::"memory"); /* ICC_IAR1 */
	return (uint32_t)intid;
}

static inline void gic_end(uint32_t taken)
{
	if (gic_version() == 2)
		write32(GICC_BASE + GICC_EOIR, taken);
	else /* ICC_EOIR1 */
		__asm__ volatile("msr s3_0_c12_c12_1, %0\n\tisb" ::"r"((uint64_t)taken) : "memory");
}

static inline void gic_deactivate(uint32_t taken)
{
	if (gic_version() == 2)
		write32(GICC_BASE + GICC_DIR, taken);
	else /* ICC_DIR */
		__asm__ volatile("msr s3_0_c12_c11_1, %0\n\tisb" ::"r"((uint64_t)taken) : "memory");
}

/* EOImode 1 of this vCPU, or 0. */
static inline void gic_two_steps(bool on)
{
	if (gic_version() == 2)
		write32(GICC_BASE + GICC_CTLR, on ? 0x201 : 1);
	else /* ICC_CTLR */
		__asm__ volatile("msr s3_0_c12_c12_4, %0\n\tisb" ::"r"(on ? 2ul : 0ul));
}

static inline void gic_mask(uint8_t priority)
{
	if (gic_version() == 2)
		write32(GICC_BASE + GICC_PMR, priority);
	else /* ICC_PMR */
		__asm__ volatile("msr s3_0_c4_c6_0, %0\n\tisb" ::"r"((uint64_t)priority));
}

/* Bits of a priority, from the top, that may preempt: 1 to 5. */
static inline void gic_group_bits(uint32_t bits)
{
	if (gic_version() == 2)
		write32(GICC_BASE + GICC_BPR, 7 - bits);
	else /* ICC_BPR1 */
		__asm__ volatile("msr s3_0_c12_c12_3, %0\n\tisb" ::"r"((uint64_t)(8 - bits)));
}

static inline uint32_t gic_running(void)
{
	uint64_t priority;

	if (gic_version() == 2)
		return read32(GICC_BASE + GICC_RPR);
	__asm__ volatile("mrs %0, s3_0_c12_c11_3" : "=r"(priority)); /* ICC_RPR */
	return (uint32_t)priority;
}
