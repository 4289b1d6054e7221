/* Moves of guests that are about upcalls, and of who asks them (moves.h). */
#include "moves.h"

#include <string.h>
#include "input.h"
#include "core/timeout.h"
#include "ipc/upcall.h"

#define QUESTIONS 4096u

static struct {
	u32 asked, answered;
	bool over[QUESTIONS];
} upcalls;

static bool returning; /* the answer of a guest */

static void answered(void *context, enum weir_status status, const u64 reply[6])
{
	bool *over = context;

	assert_false(*over);
	*over = true;
	upcalls.answered++;
	if (returning) /* the status is the service's own */
		return;
	assert_true(status == WEIR_TIMEOUT || status == WEIR_CLOSED);
	for (u32 i = 0; i < 6; i++)
		assert_int_equal(reply[i], 0);
}

void move_register(void)
{
	u32 byte = input_byte();
	u64 x[] = { byte < 248 ? byte & 3 : BIT(byte - 246) };
	const struct upcall_vcpu *upcall = &self->ipc->upcall;
	bool open = upcall->open && upcall->life == self->vm->ipc->upcall.ends;

	call(WEIR_FN_UPCALL_REGISTER, x, 1, junk(),
	     (x[0] > 3 ? 1u << -WEIR_INVALID : 0) | (open ? 1u << -WEIR_BUSY : 0), 0);
}

void move_return(void)
{
	const struct upcall_vcpu *upcall = &self->ipc->upcall;
	bool open = upcall->open && upcall->life == self->vm->ipc->upcall.ends;
	u32 byte = input_byte(), errors = 0;
	u64 x[] = { upcall->sequence, -(u64)(byte & 15) };

	if (byte >= 240)
		x[1] = input_word();
	if ((byte >> 4 & 7) > 5)
		x[0] += (byte >> 4 & 1) * 2 - 1;
	if (x[1] && (x[1] + 12 > 10))
		errors = 1u << -WEIR_INVALID;
	if (!open || x[0] != upcall->sequence)
		errors |= 1u << -WEIR_STALE;
	returning = true;
	call(WEIR_FN_UPCALL_RETURN, x, 2, junk(), errors, 0);
	returning = false;
}

void move_ask(void)
{
	static const u64 argument[4] = { 1, 2, 3, 4 };
	u64 deadline = machine.now + 1000 * (1 + input_byte());
	enum weir_service service = input_byte() & 1;
	bool known = self->ipc->upcall.services >> service & 1 &&
		     self->ipc->upcall.life == self->vm->ipc->upcall.ends;
	enum weir_status status;

	if (upcalls.asked == QUESTIONS)
		return;
	status = upcall_request(self, service, argument, deadline, answered,
				&upcalls.over[upcalls.asked]);
	assert_int_equal(status == WEIR_NOT_FOUND, !known);
	if (status == WEIR_OK)
		upcalls.asked++;
}

void upcalls_reset(void)
{
	memset(&upcalls, 0, sizeof(upcalls));
	returning = false;
}

void upcalls_check(void)
{
	u32 open = 0;

	for (u32 vm = 0; vm < MACHINE_VMS - 1; vm++)
		for (u32 i = 0; i < machine.vm[vm]->vcpu_count; i++) {
			const struct upcall_vcpu *upcall = &machine.vm[vm]->vcpu[i]->ipc->upcall;

			open += upcall->open && upcall->answered == answered;
			assert_int_equal(timeout_pending(&upcall->deadline), upcall->open);
		}
	assert_int_equal(upcalls.asked - upcalls.answered, open);
}

void upcalls_check_done(void)
{
	assert_int_equal(upcalls.asked, upcalls.answered);
}
