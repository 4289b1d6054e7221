/* Ports that are opened by call: event.h. The other end of `control` is port_peer.c. */
#include <weir/grant.h>
#include <weir/manage.h>
#include "tests/guest/peer.h"
#include "tests/guest/port_commands.h"
#include "tests/guest/tap.h"

#define ROUNDS	300u
#define PORTS	128u
#define MORTAL	2u /* its place in the manifest */
#define SECTORS 8u

static weir_handle control;
static uint32_t handled;

static uint64_t in_ms(uint64_t ms)
{
	return timer_now() + timer_ticks(ms * 1000000);
}

/* The next event of the port, which comes for sure. */
static bool told(weir_handle port)
{
	return event_wait(port, timer_now() + timer_ticks(WAIT_NS));
}

/* What tells of an event may come later than what the event is about is seen: takes all that have happened. */
static void take_events(void)
{
	uint64_t flags = irq_save();
	uint32_t number;

	while (weir_event_next(weir_here(), &number))
		continue;
	irq_restore(flags);
}

static void count_event(weir_handle port, void *arg)
{
	(void)port;
	(void)arg;
	__atomic_fetch_add(&handled, 1, __ATOMIC_RELEASE);
}

/* ---- Within the VM ---- */

static weir_handle ping, pong;
static uint32_t echoed;

static void echo(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < ROUNDS && told(ping); i++) {
		__atomic_fetch_add(&echoed, 1, __ATOMIC_RELEASE);
		weir_event_send(pong);
	}
}

/* Each is woken by the other's port alone. */
TEST(ipi_ports_wake_the_vcpu_that_they_are_bound_to)
{
	uint32_t events = 0;

	CHECK_IS(weir_port_open_ipi(&ping), WEIR_OK);
	CHECK_IS(weir_port_open_ipi(&pong), WEIR_OK);
	CHECK_IS(weir_port_bind(ping, 1, 2), WEIR_OK);
	CHECK_IS(cpu_start(1, echo, NULL), 0);
	for (; events < ROUNDS && !tap_failure.line; events++) {
		CHECK_IS(weir_event_send(ping), WEIR_OK);
		CHECK(told(pong));
	}
	CHECK_IS(SHARED_READ(echoed), ROUNDS);
	CHECK_IS(event_close(ping), WEIR_OK);
	CHECK_IS(event_close(pong), WEIR_OK);
	CHECK_IS(weir_event_send(pong), WEIR_STALE);
}

TEST(timer_port_has_its_event_at_the_deadline)
{
	weir_handle port = 0, second = 0;
	uint64_t deadline = in_ms(5);

	CHECK_IS(weir_port_open_timer(&port), WEIR_OK);
	CHECK_IS(weir_port_open_timer(&second), WEIR_BUSY);
	CHECK_IS(weir_port_timer(port, deadline), WEIR_OK);
	CHECK(told(port));
	CHECK(timer_now() >= deadline);
	CHECK_IS(weir_port_timer(port, timer_now()), WEIR_OK); /* over already */
	CHECK(told(port));
	/* Off before it is over; once more if the machine stood still between the two. */
	do {
		event_wait(port, timer_now());
		deadline = in_ms(5);
		CHECK_IS(weir_port_timer(port, deadline), WEIR_OK);
		CHECK_IS(weir_port_timer(port, 0), WEIR_OK);
	} while (timer_now() >= deadline);
	CHECK(!event_wait(port, in_ms(20)));
	CHECK_IS(event_close(port), WEIR_OK);
}

static void count_interrupt(uint32_t intid, void *arg)
{
	(void)intid;
	(void)arg;
	__atomic_fetch_add(&handled, 1, __ATOMIC_RELEASE);
}

static bool completed(uint64_t cookie)
{
	struct weir_completion completion = { 0 };

	return weir_block_next(weir_here(), &completion) && completion.status == WEIR_OK &&
	       completion.cookie == cookie;
}

TEST(block_port_has_the_completions_in_place_of_the_interrupt)
{
	uint64_t *buffer = memory_pages(1);
	weir_handle port = 0;

	handled = 0;
	irq_handle(WEIR_INTID_BLOCK, count_interrupt, NULL);
	CHECK_IS(weir_port_open_block(&port), WEIR_OK);
	for (uint64_t sector = 0; sector < 16 * SECTORS; sector += SECTORS) {
		CHECK_IS(weir_block_submit(0, WEIR_BLOCK_READ, sector, SECTORS, buffer, sector),
			 WEIR_OK);
		CHECK(told(port));
		CHECK(completed(sector));
		CHECK_IS(buffer[0], sector);
	}
	CHECK_IS(SHARED_READ(handled), 0);
	CHECK_IS(event_close(port), WEIR_OK);
	CHECK_IS(weir_block_submit(0, WEIR_BLOCK_READ, 1, 1, buffer, 77), WEIR_OK);
	CHECK(WAIT(SHARED_READ(handled)));
	CHECK(completed(77));
}

TEST(all_ports_can_be_opened_and_are_free_again)
{
	static weir_handle ports[PORTS];

	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 1; i < PORTS; i++)
			CHECK_IS(weir_port_open_ipi(&ports[i]), WEIR_OK);
		CHECK_IS(weir_port_open_ipi(&ports[0]), WEIR_QUOTA);
		for (uint32_t i = 1; i < PORTS; i++)
			CHECK_IS(weir_event_send(ports[i]), WEIR_OK);
		for (uint32_t i = 1; i < PORTS; i++)
			CHECK(told(ports[i]));
		for (uint32_t i = 1; i < PORTS; i++)
			CHECK_IS(event_close(ports[i]), WEIR_OK);
	}
}

/* ---- Between VMs ---- */

/* A port that the peer has connected to. */
static weir_handle joined(void)
{
	weir_handle port = 0;

	CHECK_IS(weir_port_open_peer(control, &port), WEIR_OK);
	CHECK(!is_open(port));
	CHECK_IS(weir_port_publish(control, port), WEIR_OK);
	while (!is_open(port) && !tap_failure.line)
		CHECK(told(port));
	return port;
}

static void ask(weir_handle port, uint64_t word)
{
	CHECK_IS(weir_port_publish(port, word), WEIR_OK);
	while (word_of(port) != word + 1 && !tap_failure.line)
		CHECK(told(port));
}

/* More often than either VM has ports; who closes first changes. */
TEST(ports_between_vms_open_connect_and_close)
{
	for (uint32_t round = 0; round < ROUNDS && !tap_failure.line; round++) {
		weir_handle port = joined();

		ask(port, 2 * round + 100);
		if (round % 2) {
			CHECK_IS(weir_port_publish(port, PORT_CLOSE), WEIR_OK);
			while (is_open(port) && !tap_failure.line)
				CHECK(told(port));
			CHECK_IS(weir_event_send(port), WEIR_CLOSED);
		}
		CHECK_IS(event_close(port), WEIR_OK);
		CHECK_IS(weir_event_send(port), WEIR_STALE);
	}
}

/*
 * Grants go by them. Each second time the peer is who closes first, and takes its mapping out for that; else
 * the grant is revoked under it, and it closes afterwards.
 */
TEST(grants_go_by_ports_between_vms)
{
	volatile uint64_t *words = (uint64_t *)weir_region(WEIR_REGION_POOL).base;
	enum weir_access access = WEIR_READ_WRITE;

	for (uint64_t round = 0; round < ROUNDS && !tap_failure.line; round++) {
		weir_handle port = joined(), grant = 0;

		words[0] = round;
		access = access == WEIR_PASS ? WEIR_READ_WRITE : WEIR_PASS;
		CHECK_IS(weir_grant_share(port, 0, 1, access, &grant), WEIR_OK);
		ask(port, PORT_MAP | grant);
		CHECK_IS(event_close(port), WEIR_BUSY);
		if (round % 4 < 2) {
			CHECK_IS(weir_port_publish(port, PORT_CLOSE), WEIR_OK);
			while (is_open(port) && !tap_failure.line)
				CHECK(told(port));
			CHECK_IS(weir_grant_revoke(grant),
				 access == WEIR_PASS ? WEIR_STALE : WEIR_OK);
			CHECK_IS(event_close(port), WEIR_OK);
		} else {
			CHECK_IS(weir_grant_close_port(port), WEIR_OK);
		}
		CHECK_IS(words[0], round + 1);
	}
}

TEST(a_masked_port_has_one_event_when_it_is_unmasked)
{
	weir_handle port = joined();
	uint64_t answer = 0;

	ask(port, 10);
	take_events();
	handled = 0;
	event_handle(port, count_event, NULL);
	CHECK_IS(weir_port_mask(port, true), WEIR_OK);
	CHECK_IS(weir_port_publish(port, PORT_FLOOD), WEIR_OK);
	CHECK(WAIT((answer = word_of(port)) == PORT_FLOOD + 1));
	CHECK_IS(SHARED_READ(handled), 0);
	CHECK_IS(weir_port_mask(port, false), WEIR_OK);
	CHECK(WAIT(SHARED_READ(handled)));
	CHECK_IS(SHARED_READ(handled), 1);
	CHECK_IS(weir_port_mask(port, true), WEIR_OK);
	CHECK_IS(weir_port_mask(port, false), WEIR_OK);
	CHECK_IS(SHARED_READ(handled), 1);
	CHECK_IS(event_close(port), WEIR_OK);
}

TEST(waiting_for_any_tells_which)
{
	weir_handle ports[3] = { 0 };
	uint32_t which = 9;

	ports[0] = joined();
	ask(ports[0],
	    10); /* so the event of the joining, which may come later than it is seen, has come */
	CHECK_IS(weir_port_open_ipi(&ports[1]), WEIR_OK);
	CHECK_IS(weir_port_open_timer(&ports[2]), WEIR_OK);
	take_events();
	while (event_wait_any(ports, 3, timer_now(),
			      &which)) /* what was for others of these numbers */
		continue;
	CHECK_IS(weir_event_send(ports[1]), WEIR_OK);
	CHECK(event_wait_any(ports, 3, in_ms(20000), &which));
	CHECK_IS(which, 1);
	CHECK_IS(weir_port_timer(ports[2], in_ms(2)), WEIR_OK);
	CHECK(event_wait_any(ports, 3, in_ms(20000), &which));
	CHECK_IS(which, 2);
	CHECK_IS(weir_port_publish(ports[0], 50), WEIR_OK);
	CHECK(event_wait_any(ports, 3, in_ms(20000), &which));
	CHECK_IS(which, 0);
	CHECK(!event_wait_any(ports, 3, in_ms(2), &which));
	for (uint32_t i = 0; i < 3; i++)
		CHECK_IS(event_close(ports[i]), WEIR_OK);
}

/* ---- Changes of VMs ---- */

static struct weir_vm_info mortal;

/* Looks only when it was told. */
static void see(weir_handle port, enum weir_vm_state state, uint64_t starts)
{
	CHECK_IS(weir_vm_info(weir_here(), MORTAL, &mortal), WEIR_OK);
	while ((mortal.state != state || mortal.starts != starts) && !tap_failure.line) {
		CHECK(told(port));
		CHECK_IS(weir_vm_info(weir_here(), MORTAL, &mortal), WEIR_OK);
	}
}

TEST(vm_state_port_tells_when_to_look)
{
	weir_handle port = 0, other = 0;

	CHECK_IS(weir_port_open_vm_state(1ull << 16 | MORTAL, &port), WEIR_OK);
	CHECK_IS(weir_port_open_vm_state(1ull << 16, &other), WEIR_OK); /* this VM */
	event_wait(other, timer_now()); /* what came late for a port that had its number */
	see(port, WEIR_VM_RUNNING, 1);
	CHECK_IS(weir_vm_restart(mortal.vm), WEIR_OK);
	see(port, WEIR_VM_RUNNING, 2);
	CHECK_IS(weir_vm_stop(mortal.vm), WEIR_OK);
	see(port, WEIR_VM_OFF, 2);
	CHECK_IS(weir_vm_start(mortal.vm), WEIR_OK);
	see(port, WEIR_VM_RUNNING, 3);
	CHECK_IS(weir_vm_stop(mortal.vm), WEIR_OK);
	see(port, WEIR_VM_OFF, 3);
	CHECK(!event_wait(other, timer_now()));
	CHECK_IS(event_close(port), WEIR_OK);
	CHECK_IS(event_close(other), WEIR_OK);
}

TEST(the_peer_is_sent_home)
{
	CHECK_IS(weir_port_close(control), WEIR_DENIED);
	CHECK_IS(weir_port_publish(control, PORT_END), WEIR_OK);
}

TEST(it_has_a_channel)
{
	CHECK_IS(weir_port_find(weir_here(), "control", &control), WEIR_OK);
}

TESTS = {
	RUN(it_has_a_channel),
	RUN(ipi_ports_wake_the_vcpu_that_they_are_bound_to),
	RUN(timer_port_has_its_event_at_the_deadline),
	RUN(block_port_has_the_completions_in_place_of_the_interrupt),
	RUN(all_ports_can_be_opened_and_are_free_again),
	RUN(ports_between_vms_open_connect_and_close),
	RUN(grants_go_by_ports_between_vms),
	RUN(a_masked_port_has_one_event_when_it_is_unmasked),
	RUN(waiting_for_any_tells_which),
	RUN(vm_state_port_tells_when_to_look),
	RUN(the_peer_is_sent_home),
};
TESTS_MAIN
