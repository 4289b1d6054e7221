/*
 * Two vCPUs on two cores, each taking interrupts by hand: what the distributor says of those that the other one has.
 */
#include "tests/guest/gic.h"

#define FIRST  SPI_FIRST	/* vCPU 0's */
#define SECOND (SPI_FIRST + 1u) /* vCPU 1's */
#define BOTH   3u		/* their bits, as bits() has them */
#define PPI    20u
#define ROUNDS 30u
#define LOOKS  10u

/* What vCPU 1 is to do, and what came of it. */
enum work { NOTHING, TAKE, END, LOOK };
static uint32_t work, result, wrong;

static void nothing(uint32_t intid, void *arg)
{
	(void)intid;
	(void)arg;
}

static uint32_t bits(uint32_t which)
{
	return read32(bit_register(which, FIRST)) & BOTH;
}

/* Both are active, whoever asks, and none is pending. */
static void look_often(void)
{
	for (uint32_t i = 0; i < LOOKS; i++)
		if (bits(GICD_ISACTIVER) != BOTH || bits(GICD_ICPENDR))
			__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
}

static uint32_t do_work(uint32_t what)
{
	static uint32_t taken;

	switch (what) {
	case TAKE:
		return taken = gic_take();
	case END:
		gic_end(taken);
		break;
	case LOOK:
		look_often();
		break;
	default:
		break;
	}
	return 0;
}

static void serve(void *arg)
{
	(void)arg;
	irq_save();
	irq_handle(PPI, nothing, NULL);
	for (;;) {
		uint32_t what = SHARED_READ(work);

		if (what != NOTHING) {
			SHARED_WRITE(result, do_work(what));
			SHARED_WRITE(work, NOTHING);
		}
		__asm__ volatile("yield");
	}
}

static void begin_there(enum work what)
{
	SHARED_WRITE(work, what);
}

static uint32_t done_there(void)
{
	while (SHARED_READ(work) != NOTHING)
		__asm__ volatile("yield");
	return SHARED_READ(result);
}

static uint32_t there(enum work what)
{
	begin_there(what);
	return done_there();
}

static void route(uint32_t intid, uint32_t vcpu)
{
	if (gic_version() == 2)
		write8(GICD_BASE + GICD_ITARGETSR + intid, (uint8_t)(1u << vcpu));
	else
		write64(GICD_BASE + GICD_IROUTER + 8 * intid, vcpu);
}

TEST(the_other_starts)
{
	irq_save(); /* to the end */
	for (uint32_t i = 0; i < 2; i++) {
		irq_handle(FIRST + i, nothing, NULL);
		set_edge(FIRST + i);
		route(FIRST + i, i);
	}
	CHECK_IS(cpu_start(1, serve, NULL), 0);
	CHECK_IS(there(TAKE), GIC_NOTHING);
}

TEST(its_interrupt_is_pending_then_active_then_neither)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		set_bit(GICD_ISPENDR, SECOND);
		CHECK_IS(bits(GICD_ISPENDR), 2);
		CHECK_IS(bits(GICD_ISACTIVER), 0);
		CHECK_IS(there(TAKE), SECOND);
		CHECK_IS(bits(GICD_ISPENDR), 0);
		CHECK_IS(bits(GICD_ISACTIVER), 2);
		CHECK_IS(bits(GICD_ICACTIVER), 2);
		set_bit(GICD_ISPENDR, SECOND);
		CHECK_IS(bits(GICD_ICPENDR), 2);
		set_bit(GICD_ICPENDR, SECOND);
		CHECK_IS(bits(GICD_ISPENDR), 0);
		there(END);
		CHECK_IS(bits(GICD_ISACTIVER), 0);
		CHECK_IS(bits(GICD_ISPENDR), 0);
	}
}

TEST(parts_of_a_register_tell_it_too)
{
	set_bit(GICD_ISPENDR, SECOND);
	/* GICv3's distributor has words only. */
	CHECK_IS(read8(bit_register(GICD_ISPENDR, SECOND)), gic_version() == 2 ? 2 : 0);
	CHECK_IS(read8(bit_register(GICD_ISPENDR, SECOND) + 1), 0);
	set_bit(GICD_ICPENDR, SECOND);
	CHECK_IS(there(TAKE), GIC_NOTHING);
}

TEST(both_look_at_once)
{
	set_bit(GICD_ISPENDR, FIRST);
	set_bit(GICD_ISPENDR, SECOND);
	CHECK_IS(gic_take(), FIRST);
	CHECK_IS(there(TAKE), SECOND);
	begin_there(LOOK);
	look_often();
	done_there();
	CHECK_IS(SHARED_READ(wrong), 0);
	there(END);
	gic_end(FIRST);
	CHECK_IS(bits(GICD_ISACTIVER), 0);
}

/* It is pending there when it is disabled; once that is done it is taken no more. */
TEST(what_is_disabled_is_not_taken_there)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		set_bit(GICD_ISPENDR, SECOND);
		CHECK_IS(bits(GICD_ISPENDR), 2);
		set_bit(GICD_ICENABLER, SECOND);
		CHECK_IS(there(TAKE), GIC_NOTHING);
		set_bit(GICD_ISENABLER, SECOND);
		CHECK_IS(bits(GICD_ISPENDR), 2);
		CHECK_IS(there(TAKE), SECOND);
		there(END);
	}
}

TEST(its_private_interrupts_are_in_its_redistributor)
{
	uint64_t there_is = GICR_BASE + 2 * GICR_SGI_FRAME + GICR_SGI_FRAME;

	if (gic_version() == 2)
		return; /* which banks them */
	write32(there_is + GICD_ISPENDR, 1u << PPI);
	CHECK_IS(read32(there_is + GICD_ISPENDR), 1u << PPI);
	CHECK_IS(there(TAKE), PPI);
	CHECK_IS(read32(there_is + GICD_ISPENDR), 0);
	CHECK_IS(read32(there_is + GICD_ISACTIVER), 1u << PPI);
	there(END);
	CHECK_IS(read32(there_is + GICD_ISACTIVER), 0);
}

TESTS = {
	RUN(the_other_starts),
	RUN(its_interrupt_is_pending_then_active_then_neither),
	RUN(parts_of_a_register_tell_it_too),
	RUN(both_look_at_once),
	RUN(what_is_disabled_is_not_taken_there),
	RUN(its_private_interrupts_are_in_its_redistributor),
};
TESTS_MAIN
