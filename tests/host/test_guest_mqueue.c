/*
 * The runtime's message queues (guests/lib/mqueue.c), between fake VMs: whose events a sender listens to while it joins
 * a service that goes meanwhile. Tasks, and the table of who handles which port's events, are made here.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c
 * Sources: core/timeout.c guests/lib/mqueue.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c tests/host/fake/ipc_memory.c
 */
#include <weir/mqueue.h>
#include "service_pair.h"

#define PORTS 8u

static u32 waits;

static struct {
	void (*fn)(weir_handle port, void *arg);
	void *arg;
} handlers[PORTS];

/* ---- Of guests/lib/guest.h, which has names that ipc/ has too. What is made here is b's, who runs. */

typedef bool (*task_condition)(void *arg);

enum weir_status sender_join(struct weir_sender *sender, const char *path);
struct weir_pages *weir_here(void);
struct weir_space *memory_shared(void);
bool channel_wait(struct weir_channel *channel);
void task_yield(void);
void event_handle(weir_handle port, void (*fn)(weir_handle port, void *arg), void *arg);
bool task_wait(task_condition ready, void *arg, uint64_t deadline);

struct weir_pages *weir_here(void)
{
	return &pages[1];
}

struct weir_space *memory_shared(void)
{
	return &spaces[1];
}

bool channel_wait(struct weir_channel *channel)
{
	(void)channel;
	return false;
}

void task_yield(void)
{
}

void event_handle(weir_handle port, void (*fn)(weir_handle port, void *arg), void *arg)
{
	assert_true(weir_port_number(port) < PORTS);
	handlers[weir_port_number(port)].fn = fn;
	handlers[weir_port_number(port)].arg = arg;
}

/* First the service goes; then nothing happens any more. */
bool task_wait(task_condition ready, void *arg, uint64_t deadline)
{
	uint32_t number;

	(void)deadline;
	if (waits++ == 0) {
		ipc_run(0, 0);
		assert_int_equal(weir_service_withdraw(&pages[0], &offer), WEIR_OK);
		ipc_run(1, 0);
	}
	while (weir_event_next(&pages[1], &number))
		if (handlers[number].fn)
			handlers[number].fn(0, handlers[number].arg);
	return ready(arg);
}

/* ---- */

static void of_another(weir_handle port, void *arg)
{
	(void)port;
	(void)arg;
}

TEST(joining_a_service_that_goes_leaves_other_ports_their_handlers)
{
	static struct weir_sender sender;
	weir_handle channel = 0;

	ipc_run(1, 0);
	assert_int_equal(weir_port_find(&pages[1], "ab", &channel), WEIR_OK);
	assert_int_equal(weir_port_number(channel), 0);
	event_handle(channel, of_another, NULL);
	assert_int_equal(sender_join(&sender, "a/in"), WEIR_TIMEOUT);
	assert_int_equal(waits, 2); /* for an answer, and for the service */
	assert_int_equal(sender.link.port, 0);
	assert_ptr_equal(handlers[0].fn, of_another);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_MADE(joining_a_service_that_goes_leaves_other_ports_their_handlers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
