/*
 * Upcalls: requests, answers and deadlines; and the progress that `upcall-ms` asks for.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c
 */
#include <string.h>
#include <weir/upcall.h>
#include "ipc_vms.h"
#include "ipc/upcall.h"

#define MS	 1000000ul /* ticks of the fake timer */
#define PING	 BIT(WEIR_SERVICE_PING)
#define PROGRESS BIT(WEIR_SERVICE_PROGRESS)

static const char *const channels[] = { "ab", 0 };
static const u64 argument[4] = { 11, 22, 33, 44 };

static struct {
	u32 count;
	void *context;
	enum weir_status status;
	u64 reply[6];
} answer;

static void answered(void *context, enum weir_status status, const u64 reply[6])
{
	answer.count++;
	answer.context = context;
	answer.status = status;
	memcpy(answer.reply, reply, sizeof(answer.reply));
}

static void make(u64 upcall_ms)
{
	fake_timer_set(1000 * MS);
	ipc_vms_set_upcall_ms(upcall_ms);
	ipc_vms_make(2, 2, channels);
	memset(&answer, 0, sizeof(answer));
}

static int machine_make(void **state)
{
	(void)state;
	make(0);
	return 0;
}

static enum weir_status request(enum weir_service service)
{
	return upcall_request(ipc_vcpu(0, 0), service, argument, timer_now() + 100 * MS, answered,
			      &answer);
}

/* The machine's time goes on; what was due is handled. */
static void pass(u64 ms)
{
	fake_timer_set(timer_now() + ms * MS);
	timeout_interrupt();
}

static u64 sequence(void)
{
	struct weir_pages pages = ipc_pages(0, 0);

	return weir_upcall_get(&pages).sequence;
}

static u32 interrupts(void)
{
	return ipc_pends(ipc_vcpu(0, 0), WEIR_INTID_UPCALL);
}

/* The guest's service answers the open request. */
static enum weir_status reply(enum weir_status status, u64 first, u64 second)
{
	struct weir_pages pages = ipc_pages(0, 0);
	const u64 words[6] = { first, second, 3, 4, 5, 6 };

	return weir_upcall_return(&pages, sequence(), status, words);
}

TEST(a_request_reaches_the_vcpu_and_its_answer_the_caller)
{
	struct weir_pages pages = ipc_pages(0, 0);
	struct weir_upcall seen;

	assert_int_equal(weir_upcall_register(PING), WEIR_OK);
	assert_int_equal(request(WEIR_SERVICE_PING), WEIR_OK);
	assert_int_equal(interrupts(), 1);
	assert_int_equal(answer.count, 0);
	seen = weir_upcall_get(&pages);
	assert_int_equal(seen.service, WEIR_SERVICE_PING);
	assert_memory_equal(seen.argument, argument, sizeof(argument));

	assert_int_equal(reply(WEIR_OK, 11, 2), WEIR_OK);
	assert_int_equal(answer.count, 1);
	assert_ptr_equal(answer.context, &answer);
	assert_int_equal(answer.status, WEIR_OK);
	for (u32 i = 1; i < 6; i++)
		assert_int_equal(answer.reply[i], i + 1);
	assert_int_equal(answer.reply[0], 11);
	pass(1000);
	assert_int_equal(answer.count, 1); /* its deadline is gone with it */
}

TEST(the_service_s_own_status_reaches_the_caller)
{
	weir_upcall_register(PING | PROGRESS);
	for (s32 status = WEIR_INVALID; status >= WEIR_FAULT; status--) {
		assert_int_equal(request(WEIR_SERVICE_PROGRESS), WEIR_OK);
		assert_int_equal(reply((enum weir_status)status, 0, 0), WEIR_OK);
		assert_int_equal(answer.status, status);
	}
}

TEST(request_of_what_is_not_offered_is_refused)
{
	assert_int_equal(request(WEIR_SERVICE_PING), WEIR_NOT_FOUND);
	weir_upcall_register(PING);
	assert_int_equal(request(WEIR_SERVICE_PROGRESS), WEIR_NOT_FOUND);
	weir_upcall_register(PROGRESS);
	assert_int_equal(request(WEIR_SERVICE_PING), WEIR_NOT_FOUND);
	weir_upcall_register(0);
	assert_int_equal(request(WEIR_SERVICE_PROGRESS), WEIR_NOT_FOUND);
	assert_int_equal(interrupts(), 0);
	pass(1000);
	assert_int_equal(answer.count, 0);
}

TEST(one_request_at_a_time)
{
	weir_upcall_register(PING);
	assert_int_equal(request(WEIR_SERVICE_PING), WEIR_OK);
	assert_int_equal(request(WEIR_SERVICE_PING), WEIR_BUSY);
	assert_int_equal(interrupts(), 1);
	assert_int_equal(reply(WEIR_OK, 0, 0), WEIR_OK);
	assert_int_equal(request(WEIR_SERVICE_PING), WEIR_OK);
}

TEST(a_request_ends_at_its_deadline_and_the_late_answer_is_stale)
{
	weir_upcall_register(PING);
	request(WEIR_SERVICE_PING);
	pass(99);
	assert_int_equal(answer.count, 0);
	pass(1);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.status, WEIR_TIMEOUT);
	assert_int_equal(answer.reply[2], 0);
	assert_int_equal(reply(WEIR_OK, 0, 0), WEIR_STALE);
	assert_int_equal(answer.count, 1);
	assert_int_equal(request(WEIR_SERVICE_PING), WEIR_OK);
}

TEST(an_answer_to_an_earlier_request_does_not_end_the_next)
{
	struct weir_pages pages = ipc_pages(0, 0);
	const u64 words[6] = { 0 };
	u64 old;

	weir_upcall_register(PING);
	request(WEIR_SERVICE_PING);
	old = sequence();
	pass(100);
	request(WEIR_SERVICE_PING);
	assert_int_equal(weir_upcall_return(&pages, old, WEIR_OK, words), WEIR_STALE);
	assert_int_equal(weir_upcall_return(&pages, old + 2, WEIR_OK, words), WEIR_STALE);
	assert_int_equal(answer.count, 1);
	assert_int_equal(weir_upcall_return(&pages, old + 1, WEIR_OK, words), WEIR_OK);
	assert_int_equal(answer.count, 2);
	assert_int_equal(weir_upcall_return(&pages, old + 1, WEIR_OK, words), WEIR_STALE);
}

TEST(return_without_any_request_is_stale)
{
	assert_int_equal(weir_do(WEIR_FN_UPCALL_RETURN, 0, 0, 0, 0, 0), WEIR_STALE);
	weir_upcall_register(PING);
	assert_int_equal(weir_do(WEIR_FN_UPCALL_RETURN, 0, 0, 0, 0, 0), WEIR_STALE);
}

TEST(return_rejects_what_is_no_status)
{
	static const u64 wrong[] = { 1, (u64)-1, (u64)-13, 0xfffffffeul, 1ul << 63, 1ul << 32 };

	weir_upcall_register(PING);
	request(WEIR_SERVICE_PING);
	for (u32 i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(weir_do(WEIR_FN_UPCALL_RETURN, sequence(), wrong[i], 0, 0, 0),
				 WEIR_INVALID);
	assert_int_equal(answer.count, 0);
	assert_int_equal(reply(WEIR_OK, 0, 0), WEIR_OK); /* it is still open */
}

TEST(return_from_another_vcpu_is_stale)
{
	weir_upcall_register(PING);
	request(WEIR_SERVICE_PING);
	ipc_run(0, 1);
	assert_int_equal(reply(WEIR_OK, 0, 0), WEIR_STALE);
	ipc_run(1, 0);
	assert_int_equal(reply(WEIR_OK, 0, 0), WEIR_STALE);
}

TEST(register_rejects_what_is_no_service)
{
	assert_int_equal(weir_upcall_register(BIT(WEIR_SERVICE_COUNT)), WEIR_INVALID);
	assert_int_equal(weir_upcall_register(BIT(63) | PING), WEIR_INVALID);
	assert_int_equal(weir_upcall_register(UINT64_MAX), WEIR_INVALID);
	assert_int_equal(request(WEIR_SERVICE_PING), WEIR_NOT_FOUND);
}

TEST(register_waits_for_an_open_request)
{
	weir_upcall_register(PING);
	request(WEIR_SERVICE_PING);
	assert_int_equal(weir_upcall_register(PROGRESS), WEIR_BUSY);
	reply(WEIR_OK, 0, 0);
	assert_int_equal(weir_upcall_register(PROGRESS), WEIR_OK);
}

TEST(a_vm_that_stopped_is_not_asked)
{
	weir_upcall_register(PING);
	request(WEIR_SERVICE_PING);
	ipc_vm_end(0);
	pass(100);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.status, WEIR_CLOSED);
	assert_int_equal(request(WEIR_SERVICE_PING), WEIR_NOT_FOUND);
}

/* What was offered, asked and answered before counts for nothing, whoever remembers it. */
TEST(a_vm_that_started_again_offers_anew)
{
	u64 sequence;

	weir_upcall_register(PING);
	request(WEIR_SERVICE_PING);
	sequence = ipc_pages(0, 0).out->upcall_sequence;
	ipc_vm_renew(0);
	ipc_run(0, 0);
	assert_int_equal(request(WEIR_SERVICE_PING), WEIR_NOT_FOUND);
	assert_int_equal(weir_do(WEIR_FN_UPCALL_RETURN, sequence, 0, 0, 0, 0), WEIR_STALE);
	assert_int_equal(answer.count, 0);
	assert_int_equal(weir_upcall_register(PROGRESS), WEIR_OK);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.status, WEIR_CLOSED);
	assert_int_equal(request(WEIR_SERVICE_PING), WEIR_NOT_FOUND);
	assert_int_equal(request(WEIR_SERVICE_PROGRESS), WEIR_OK);
	assert_int_equal(weir_do(WEIR_FN_UPCALL_RETURN, sequence, 0, 0, 0, 0), WEIR_STALE);
	pass(99); /* the old deadline is gone */
	assert_int_equal(answer.count, 1);
	reply(WEIR_OK, 1, 2);
	assert_int_equal(answer.count, 2);
	assert_int_equal(answer.status, WEIR_OK);
}

/* In the next life another vCPU is the first that registers: the old one's period has ended. */
TEST(a_vm_that_started_again_is_watched_once)
{
	make(250);
	weir_upcall_register(PROGRESS);
	reply(WEIR_OK, 0, 1);
	ipc_vm_renew(0);
	ipc_run(0, 1);
	weir_upcall_register(PROGRESS);
	ipc_run(0, 0);
	weir_upcall_register(PROGRESS);
	for (u32 i = 0; i < 10; i++) {
		const u64 words[6] = { i, 20 };
		struct weir_pages pages = ipc_pages(0, 1);

		ipc_run(0, 1);
		weir_upcall_return(&pages, weir_upcall_get(&pages).sequence, WEIR_OK, words);
		pass(250);
	}
	assert_int_equal(ipc_pends(ipc_vcpu(0, 0), WEIR_INTID_UPCALL), 1);
	assert_int_equal(ipc_pends(ipc_vcpu(0, 1), WEIR_INTID_UPCALL), 11);
}

TEST(progress_is_asked_at_once_and_then_periodically)
{
	make(250);
	assert_int_equal(weir_upcall_register(PING | PROGRESS), WEIR_OK);
	assert_int_equal(interrupts(), 1);
	assert_int_equal(fake_log_count(), 0);
	assert_int_equal(reply(WEIR_OK, 0, 262144), WEIR_OK);
	assert_string_equal(fake_log_text(0), "a: 0 % (0 of 262144)");
	pass(249);
	assert_int_equal(interrupts(), 1);
	pass(1);
	assert_int_equal(interrupts(), 2);
	pass(10); /* the answer takes its time, the period does not */
	assert_int_equal(reply(WEIR_OK, 123456, 262144), WEIR_OK);
	assert_string_equal(fake_log_text(1), "a: 47 % (123456 of 262144)");
	pass(239);
	assert_int_equal(interrupts(), 2);
	pass(1);
	assert_int_equal(interrupts(), 3);
}

TEST(progress_is_said_only_when_it_changed)
{
	make(250);
	weir_upcall_register(PROGRESS);
	for (u64 i = 0; i < 12; i++) {
		assert_int_equal(reply(WEIR_OK, i / 4, 10), WEIR_OK);
		pass(250);
	}
	assert_int_equal(fake_log_count(), 3);
	assert_string_equal(fake_log_text(2), "a: 20 % (2 of 10)");
}

TEST(progress_of_nothing_is_said_once)
{
	make(250);
	weir_upcall_register(PROGRESS);
	for (u32 i = 0; i < 3; i++) {
		reply(WEIR_OK, 0, 0);
		pass(250);
	}
	assert_int_equal(fake_log_count(), 1);
	assert_string_equal(fake_log_text(0), "a: done 0 of 0");
}

TEST(progress_makes_sense_of_every_figure)
{
	make(250);
	weir_upcall_register(PROGRESS);
	reply(WEIR_OK, 7, 5);
	assert_true(fake_log_has("a: 100 % (7 of 5)"));
	pass(250);
	reply(WEIR_OK, UINT64_MAX - 1, UINT64_MAX);
	assert_true(fake_log_has("a: 100 % ("));
	pass(250);
	reply(WEIR_OK, UINT64_MAX / 2, UINT64_MAX);
	assert_true(fake_log_has("a: 50 % (9223372036854775807 of 18446744073709551615)"));
	pass(250);
	reply(WEIR_OK, 5, 0);
	assert_true(fake_log_has("a: done 5 of 0"));
}

TEST(a_guest_that_does_not_answer_is_named_once_and_asked_on)
{
	make(250);
	weir_upcall_register(PROGRESS);
	for (u32 i = 0; i < 5; i++)
		pass(1000);
	assert_int_equal(fake_log_count(), 1);
	assert_string_equal(fake_log_text(0), "a: no answer to an upcall");
	assert_int_equal(interrupts(), 6);
	assert_int_equal(reply(WEIR_OK, 1, 2), WEIR_OK);
	assert_string_equal(fake_log_text(1), "a: 50 % (1 of 2)");
}

TEST(a_guest_that_refuses_is_named_once)
{
	make(250);
	weir_upcall_register(PROGRESS);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(reply(WEIR_AGAIN, 1, 2), WEIR_OK);
		pass(250);
	}
	assert_int_equal(fake_log_count(), 1);
	assert_string_equal(fake_log_text(0), "a: upcall refused (-6)");
}

TEST(a_guest_that_only_answers_pings_is_pinged)
{
	make(250);
	weir_upcall_register(PING);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(reply(WEIR_OK, i, i), WEIR_OK);
		pass(250);
	}
	assert_int_equal(interrupts(), 4);
	assert_int_equal(fake_log_count(), 1);
	assert_string_equal(fake_log_text(0), "a: answers upcalls");
}

TEST(registering_again_does_not_ask_again)
{
	make(250);
	weir_upcall_register(PROGRESS);
	reply(WEIR_OK, 0, 1);
	for (u32 i = 0; i < 5; i++)
		assert_int_equal(weir_upcall_register(PROGRESS), WEIR_OK);
	assert_int_equal(interrupts(), 1);
}

TEST(the_period_outlives_a_time_without_services)
{
	make(250);
	weir_upcall_register(PROGRESS);
	reply(WEIR_OK, 0, 1);
	weir_upcall_register(0);
	pass(250);
	assert_int_equal(interrupts(), 1);
	weir_upcall_register(PROGRESS);
	pass(250);
	assert_int_equal(interrupts(), 2);
}

TEST(one_vcpu_of_a_vm_is_asked)
{
	make(250);
	ipc_run(0, 1);
	weir_upcall_register(PROGRESS);
	ipc_run(0, 0);
	weir_upcall_register(PROGRESS);
	assert_int_equal(ipc_pends(ipc_vcpu(0, 1), WEIR_INTID_UPCALL), 1);
	assert_int_equal(interrupts(), 0);
}

TEST(nothing_is_said_after_the_vm_s_end)
{
	make(250);
	weir_upcall_register(PROGRESS);
	ipc_vm_end(0);
	for (u32 i = 0; i < 10; i++)
		pass(1000);
	assert_int_equal(fake_log_count(), 0);
	assert_int_equal(interrupts(), 1);
}

TEST(no_timeout_is_left_after_the_vm_s_end)
{
	make(250);
	weir_upcall_register(PROGRESS);
	reply(WEIR_OK, 0, 1);
	ipc_vm_end(0);
	pass(250);
	assert_true(fake_timer_el2_deadline() == UINT64_MAX);
}

TEST(without_upcall_ms_nothing_is_asked)
{
	weir_upcall_register(PROGRESS);
	pass(10000);
	assert_int_equal(interrupts(), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, machine_make, ipc_vms_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_request_reaches_the_vcpu_and_its_answer_the_caller),
		CASE(the_service_s_own_status_reaches_the_caller),
		CASE(request_of_what_is_not_offered_is_refused),
		CASE(one_request_at_a_time),
		CASE(a_request_ends_at_its_deadline_and_the_late_answer_is_stale),
		CASE(an_answer_to_an_earlier_request_does_not_end_the_next),
		CASE(return_without_any_request_is_stale),
		CASE(return_rejects_what_is_no_status),
		CASE(return_from_another_vcpu_is_stale),
		CASE(register_rejects_what_is_no_service),
		CASE(register_waits_for_an_open_request),
		CASE(a_vm_that_stopped_is_not_asked),
		CASE(a_vm_that_started_again_offers_anew),
		CASE(a_vm_that_started_again_is_watched_once),
		CASE(progress_is_asked_at_once_and_then_periodically),
		CASE(progress_is_said_only_when_it_changed),
		CASE(progress_of_nothing_is_said_once),
		CASE(progress_makes_sense_of_every_figure),
		CASE(a_guest_that_does_not_answer_is_named_once_and_asked_on),
		CASE(a_guest_that_refuses_is_named_once),
		CASE(a_guest_that_only_answers_pings_is_pinged),
		CASE(registering_again_does_not_ask_again),
		CASE(the_period_outlives_a_time_without_services),
		CASE(one_vcpu_of_a_vm_is_asked),
		CASE(nothing_is_said_after_the_vm_s_end),
		CASE(no_timeout_is_left_after_the_vm_s_end),
		CASE(without_upcall_ms_nothing_is_asked),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
