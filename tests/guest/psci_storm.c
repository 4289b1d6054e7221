/*
 * vCPUs that turn each other on and off, and wait, and wake each other, in any order, until one of them ends the life
 * of the VM, or the last one has turned itself off; psci_storm_keeper.c begins the next. It reports what is wrong, and
 * nothing else. bootargs: `vcpus=N`, the first of which begins.
 */
#include "tests/guest/bootargs.h"
#include "tests/guest/random.h"
#include "tests/guest/tap.h"

#define CPU_SUSPEND   0x84000001u
#define CPU_OFF	      0x84000002u
#define AFFINITY_INFO 0xc4000004u
#define SYSTEM_OFF    0x84000008u
#define SYSTEM_RESET  0x84000009u

#define ALREADY_ON -4
#define IS_ON	   0
#define IS_OFF	   1

#define SGI	     5u
#define ACTIONS	     24u   /* of a vCPU before it turns itself off, at most */
#define AUDIT_ROUNDS 60u   /* of the first in a life in which it counts */
#define LIFE	     100u  /* actions, of which one ends the life */
#define SHORT_NS     60000 /* of a sleep, at most */

/* How a life ends: when the first has counted, or when anybody likes. */
enum life { AUDIT, RESET, OFF, LIVES };

static uint32_t vcpus;
static enum life life;
static bool closing;					/* nobody is turned on any more */
static uint32_t asked[CPUS_MAX], started[CPUS_MAX];	/* how often */
static uint32_t inside[CPUS_MAX], interrupts[CPUS_MAX]; /* is on; SGIs */

/* As the runtime reports an exception, which no run may have. */
static void broken(const char *what, uint32_t cpu, int64_t value)
{
	printf("guest: %s: vCPU %u of %u, %ld\n", what, cpu, vcpus, value);
	for (;;)
		task_sleep(1000000000);
}

static int32_t psci(uint32_t function, uint64_t a1, uint64_t a2)
{
	return (int32_t)weir_call(function, a1, a2, 0, 0, 0, 0).status;
}

static void count(uint32_t intid, void *arg)
{
	(void)intid, (void)arg;
	interrupts[cpu_index()]++;
}

static void nothing(void *arg)
{
	(void)arg;
}

/* From here on another may turn it on again. */
static void leave(uint32_t me)
{
	irq_save();
	SHARED_WRITE(inside[me], 0);
	broken("CPU_OFF came back", me, psci(CPU_OFF, 0, 0));
}

static void act(void *arg);

/* Counted before, for it may run before the call is back; started more often than asked for it is never. */
static void turn_on(uint32_t cpu)
{
	int64_t status;

	if (SHARED_READ(closing))
		return;
	__atomic_fetch_add(&asked[cpu], 1, __ATOMIC_ACQ_REL);
	status = cpu_start(cpu, act, NULL);
	if (status)
		__atomic_fetch_sub(&asked[cpu], 1, __ATOMIC_ACQ_REL);
	if (status && (int32_t)status != ALREADY_ON)
		broken("CPU_ON", cpu, status);
}

static void look_at(uint32_t cpu, uint32_t me)
{
	int32_t state = psci(AFFINITY_INFO, cpu, 0);

	if (state != IS_ON && (state != IS_OFF || cpu == me))
		broken("AFFINITY_INFO", cpu, state);
}

/* It ends at once, for an interrupt is pending; or when the timer's comes. */
static void suspend(uint32_t me, bool pending)
{
	uint64_t flags = irq_save();
	int32_t status;

	if (pending)
		irq_send(me, SGI);
	else
		timer_set(timer_now() + timer_ticks(SHORT_NS), nothing, NULL);
	status = psci(CPU_SUSPEND, 0, 0);
	irq_restore(flags);
	if (status)
		broken("CPU_SUSPEND", me, status);
}

static void end_life(uint32_t me)
{
	int32_t status = psci(life == RESET ? SYSTEM_RESET : SYSTEM_OFF, 0, 0);

	broken("the end of its life came back", me, status);
}

static void do_something(uint32_t me, struct random *random)
{
	uint32_t cpu = (uint32_t)random_below(random, vcpus);

	if (life != AUDIT && random_below(random, LIFE) == 0)
		end_life(me);
	switch (random_below(random, 10)) {
	case 0:
		look_at(cpu, me);
		break;
	case 1:
		irq_send(cpu, SGI);
		break;
	case 2:
		suspend(me, random_below(random, 2));
		break;
	case 3:
		task_sleep(random_below(random, SHORT_NS));
		break;
	case 4:
		for (uint64_t n = random_below(random, 3000); n; n--)
			__asm__ volatile("");
		break;
	default:
		turn_on(cpu);
		break;
	}
}

/* Of a vCPU from when it is turned on, until it turns itself off. */
static void act(void *arg)
{
	uint32_t me = cpu_index();
	struct random random = { timer_now() << 8 | me };
	uint64_t mpidr;

	(void)arg;
	__asm__("mrs %0, mpidr_el1" : "=r"(mpidr));
	if ((mpidr & 0xff) != me)
		broken("has another's context", me, (int64_t)mpidr);
	if (__atomic_exchange_n(&inside[me], 1, __ATOMIC_ACQ_REL))
		broken("is on twice", me, started[me]);
	if (__atomic_add_fetch(&started[me], 1, __ATOMIC_ACQ_REL) > SHARED_READ(asked[me]))
		broken("was turned on by nobody", me, started[me]);
	irq_handle(SGI, count, NULL);
	for (uint64_t n = random_below(&random, ACTIONS); n; n--)
		do_something(me, &random);
	leave(me);
}

static void wait_until_all_were_off(void)
{
	for (uint32_t i = 1; i < vcpus; i++)
		while (psci(AFFINITY_INFO, i, 0) == IS_ON)
			task_sleep(SHORT_NS);
}

/*
 * All others are off in the end, and have begun as often as somebody was told so. Twice, for one that had looked before
 * it was closing may turn on another that was off already; who begins later turns on nobody.
 */
static void audit(struct random *random)
{
	for (uint32_t n = AUDIT_ROUNDS; n; n--)
		do_something(0, random);
	SHARED_WRITE(closing, true);
	wait_until_all_were_off();
	wait_until_all_were_off();
	for (uint32_t i = 1; i < vcpus; i++)
		if (started[i] != asked[i])
			broken("CPU_ON was lost", i, (int64_t)asked[i] - started[i]);
	life = RESET;
	end_life(0);
}

int main(void)
{
	struct random random = { timer_now() };

	vcpus = (uint32_t)bootargs_number("vcpus", 2);
	life = (enum life)random_below(&random, LIVES);
	asked[0] = started[0] = inside[0] = 1;
	irq_handle(SGI, count, NULL);
	/* Stacks are not shared out by two at once. */
	for (uint32_t i = 0; i < vcpus; i++)
		turn_on(i);
	if (life == AUDIT)
		audit(&random);
	for (uint64_t n = random_below(&random, 4 * ACTIONS); n; n--)
		do_something(0, &random);
	leave(0);
	return 1;
}
