/*
 * As many vCPUs as a VM may have: SGIs from one to each, from each to all others, and an SPI routed to each.
 * bootargs: `vcpus=N`.
 */
#include "guests/lib/runtime.h"
#include "tests/guest/bootargs.h"
#include "tests/guest/gic_offsets.h"
#include "tests/guest/tap.h"

#define SPI_FIRST 64u

enum { SGI_OF_FIRST = 1, SGI_OF_ALL = 2 };

static uint32_t vcpus, ready, sent;
static uint32_t of_first[CPUS_MAX], of_all[CPUS_MAX], spis[CPUS_MAX]; /* each vCPU its own */

static void count(uint32_t intid, void *counts)
{
	(void)intid;
	__atomic_fetch_add(&((uint32_t *)counts)[cpu_index()], 1, __ATOMIC_RELEASE);
}

/* IHI 0048, 4.3.15: filter 1; IHI 0069, 12.11.12: IRM. */
static void send_to_others(uint32_t sgi)
{
	if (gic_version() == 2)
		mmio_write32(GICD_BASE + GICD_SGIR, 1u << 24 | sgi);
	else
		__asm__ volatile(
			"msr s3_0_c12_c11_5, %0\n\tisb" ::"r"(1ul << 40 | (uint64_t)sgi << 24));
}

static void take_part(void *arg)
{
	(void)arg;
	irq_handle(SGI_OF_FIRST, count, of_first);
	irq_handle(SGI_OF_ALL, count, of_all);
	__atomic_fetch_add(&ready, 1, __ATOMIC_RELEASE);
	while (SHARED_READ(ready) != vcpus)
		task_sleep(1000000);
	send_to_others(SGI_OF_ALL);
	__atomic_fetch_add(&sent, 1, __ATOMIC_RELEASE);
	for (;;)
		task_sleep(1000000000);
}

TEST(every_vcpu_starts_and_no_other)
{
	vcpus = (uint32_t)bootargs_number("vcpus", 0);
	CHECK(vcpus > 1 && vcpus <= CPUS_MAX);
	irq_handle(SGI_OF_FIRST, count, of_first);
	irq_handle(SGI_OF_ALL, count, of_all);
	for (uint32_t i = 1; i < vcpus; i++)
		CHECK_IS(cpu_start(i, take_part, NULL), 0);
	CHECK_IS(weir_call(0xc4000003, vcpus, 0x40080000, 0, 0, 0, 0).status, (uint64_t)-2);
	CHECK(WAIT(SHARED_READ(ready) == vcpus - 1));
}

TEST(an_sgi_arrives_at_the_one_that_it_names)
{
	for (uint32_t i = 0; i < vcpus; i++) {
		irq_send(i, SGI_OF_FIRST);
		CHECK(WAIT(SHARED_READ(of_first[i]) == 1));
		for (uint32_t k = 0; k < vcpus; k++)
			CHECK_IS(SHARED_READ(of_first[k]), k <= i);
	}
}

/* Sends of several coalesce on a GICv3, so how many arrive at most is known, and that none is left out. */
TEST(sgis_of_all_to_all_others_arrive)
{
	__atomic_fetch_add(&ready, 1, __ATOMIC_RELEASE);
	CHECK(WAIT(SHARED_READ(sent) == vcpus - 1));
	send_to_others(SGI_OF_ALL);
	for (uint32_t i = 0; i < vcpus; i++) {
		CHECK(WAIT(SHARED_READ(of_all[i]) > 0));
		CHECK(SHARED_READ(of_all[i]) < vcpus);
	}
}

static void route(uint32_t spi, uint32_t vcpu)
{
	if (gic_version() == 2)
		mmio_write8(GICD_BASE + GICD_ITARGETSR + spi, (uint8_t)(1u << vcpu));
	else
		mmio_write64(GICD_BASE + GICD_IROUTER + 8ul * spi, vcpu);
}

TEST(an_spi_arrives_where_it_is_routed)
{
	for (uint32_t i = 0; i < vcpus; i++) {
		uint32_t spi = SPI_FIRST + i;
		uint64_t configuration = GICD_BASE + GICD_ICFGR + spi / 16 * 4;

		irq_handle(spi, count, spis);
		mmio_write32(configuration, mmio_read32(configuration) | 2u << spi % 16 * 2);
		route(spi, i);
		mmio_write32(GICD_BASE + GICD_ISPENDR + spi / 32 * 4, 1u << spi % 32);
		CHECK(WAIT(SHARED_READ(spis[i]) == 1));
		for (uint32_t k = 0; k < vcpus; k++)
			CHECK_IS(SHARED_READ(spis[k]), k <= i);
	}
}

TESTS = {
	RUN(every_vcpu_starts_and_no_other),
	RUN(an_sgi_arrives_at_the_one_that_it_names),
	RUN(sgis_of_all_to_all_others_arrive),
	RUN(an_spi_arrives_where_it_is_routed),
};
TESTS_MAIN
