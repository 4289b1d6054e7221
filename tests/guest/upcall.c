/* Upcalls: upcall.h. The manifest's upcall-ms makes Weir ask this VM all the time. */
#include "tests/guest/tap.h"

static uint32_t calls;
static uint64_t last_sequence;
static enum weir_status handler_status;
static bool handler_busy;

/* What a service may do in a handler: look, answer, but not register anew while it is asked. */
static enum weir_status progress(const uint64_t *argument, uint64_t *reply)
{
	uint64_t sequence = weir_upcall_get(weir_here()).sequence;

	(void)argument;
	if (sequence == last_sequence)
		handler_status = WEIR_STALE; /* each request has its own */
	last_sequence = sequence;
	handler_busy = weir_upcall_register(1u << WEIR_SERVICE_PROGRESS) == WEIR_BUSY;
	reply[0] = __atomic_add_fetch(&calls, 1, __ATOMIC_RELEASE);
	reply[1] = 1000;
	return WEIR_OK;
}

TEST(register_refuses_what_is_no_service)
{
	CHECK_IS(weir_upcall_register(1u << WEIR_SERVICE_COUNT), WEIR_INVALID);
	CHECK_IS(weir_upcall_register(1ull << 63), WEIR_INVALID);
	CHECK_IS(weir_upcall_register(~0ull), WEIR_INVALID);
	CHECK_IS(weir_call(WEIR_FN(WEIR_FN_UPCALL_REGISTER), 1, 1, 0, 0, 0, 0).status,
		 WEIR_INVALID);
}

TEST(an_answer_nobody_waits_for_is_stale)
{
	uint64_t reply[WEIR_UPCALL_REPLIES] = { 0 };

	for (uint64_t sequence = 0; sequence < 4; sequence++)
		CHECK_IS(weir_upcall_return(weir_here(), sequence, WEIR_OK, reply), WEIR_STALE);
	CHECK_IS(weir_upcall_return(weir_here(), ~0ull, WEIR_OK, reply), WEIR_STALE);
}

TEST(return_refuses_what_is_no_status)
{
	static const int64_t no_status[] = { 1, -1, -1000, INT64_MAX };
	uint64_t reply[WEIR_UPCALL_REPLIES] = { 0 };

	for (unsigned int i = 0; i < sizeof(no_status) / sizeof(no_status[0]); i++)
		CHECK_IS(weir_call(WEIR_FN(WEIR_FN_UPCALL_RETURN), 1, (uint64_t)no_status[i], 0, 0,
				   0, 0)
				 .status,
			 WEIR_INVALID);
	CHECK_IS(weir_upcall_return(weir_here(), 0, WEIR_OK, reply), WEIR_STALE);
}

TEST(a_service_is_called_while_the_guest_spins)
{
	uint64_t end = timer_now() + timer_ticks(WAIT_NS);

	CHECK_IS(upcall_handle(WEIR_SERVICE_PING, NULL), WEIR_OK);
	CHECK_IS(upcall_handle(WEIR_SERVICE_PROGRESS, progress), WEIR_OK);
	while (SHARED_READ(calls) < 5 && timer_now() < end)
		;
	CHECK(calls >= 5);
	CHECK_IS(handler_status, WEIR_OK);
	CHECK(handler_busy);
}

TEST(a_service_is_called_in_wfi)
{
	uint32_t before = SHARED_READ(calls);

	CHECK(WAIT(SHARED_READ(calls) >= before + 5));
}

TEST(an_answer_cannot_be_given_twice)
{
	uint64_t reply[WEIR_UPCALL_REPLIES] = { 0 }, flags;
	uint32_t before = SHARED_READ(calls);

	CHECK(WAIT(SHARED_READ(calls) > before));
	flags = irq_save();
	CHECK_IS(weir_upcall_return(weir_here(), last_sequence, WEIR_OK, reply), WEIR_STALE);
	irq_restore(flags);
}

/* What Weir says to an answer that comes when the request's deadline has passed. */
static enum weir_status answer_late(void)
{
	uint64_t flags = irq_save(); /* first: a request that is there now is the last before us */
	uint64_t reply[WEIR_UPCALL_REPLIES] = { 0 }, end;
	uint64_t sequence = weir_upcall_get(weir_here()).sequence;
	enum weir_status status;

	end = timer_now() + timer_ticks(WAIT_NS);
	while (weir_upcall_get(weir_here()).sequence == sequence && timer_now() < end)
		;
	sequence = weir_upcall_get(weir_here()).sequence;
	end = timer_now() + timer_ticks(3000000000ull);
	while (timer_now() < end)
		;
	status = weir_upcall_return(weir_here(), sequence, WEIR_OK, reply);
	irq_restore(flags);
	return status;
}

/*
 * With interrupts masked for longer than any deadline the request ends without us: the answer comes
 * too late, and the next request is served as if nothing had been. Where the machine stood still until now
 * Weir's timer may be later than we are: then the same with the next request.
 */
TEST(a_late_answer_is_stale)
{
	uint32_t before = SHARED_READ(calls), tries = 5;
	enum weir_status status;

	do
		status = answer_late();
	while (status == WEIR_OK && --tries);
	CHECK_IS(status, WEIR_STALE);
	CHECK(WAIT(SHARED_READ(calls) >= before + 2));
}

TESTS = {
	RUN(register_refuses_what_is_no_service),
	RUN(an_answer_nobody_waits_for_is_stale),
	RUN(return_refuses_what_is_no_status),
	RUN(a_service_is_called_while_the_guest_spins),
	RUN(a_service_is_called_in_wfi),
	RUN(an_answer_cannot_be_given_twice),
	RUN(a_late_answer_is_stale),
};
TESTS_MAIN
