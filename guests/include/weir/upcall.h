/*
 * Upcalls: the hypervisor calls a service inside a guest and waits for the answer.
 *
 * Weir writes weir_out.upcall_{service,argument,sequence} and raises WEIR_INTID_UPCALL on the vCPU
 * that registered. The guest's handler writes weir_in.upcall_reply and makes WEIR_FN_UPCALL_RETURN.
 * One request at a time per vCPU. A request that is not answered before its deadline ends with
 * WEIR_TIMEOUT for the caller; the late answer gets WEIR_STALE. upcall_sequence is written last, by
 * store-release.
 *
 * With `upcall-ms` in the manifest Weir itself asks the first vCPU that registers: at once, and
 * then every so many milliseconds, WEIR_SERVICE_PROGRESS if it is offered, else WEIR_SERVICE_PING.
 * It prints the progress when it has changed, and says when there was no answer within a second.
 *
 * WEIR_FN_UPCALL_REGISTER: offer services on this vCPU; replaces what it offered before.
 *   in:  x1 = bit mask of enum weir_service.
 *   errors: WEIR_INVALID: a bit that is no service. WEIR_BUSY: a request is open.
 *   When the VM ends, it is over: nothing is offered when it starts again.
 *
 * WEIR_FN_UPCALL_RETURN: the answer is in weir_in.upcall_reply.
 *   in:  x1 = upcall_sequence of the request, x2 = enum weir_status of the service (WEIR_NOT_FOUND
 *	  if it does not know the service).
 *   errors: WEIR_STALE: no request of that sequence is open (answered, or past its deadline).
 *	     WEIR_INVALID: x2 is not a status.
 *
 * Source: ipc/upcall.c. Tests: tests/guest/upcall.c, tests/host/test_upcall.c. Since ABI 1.
 */
#pragma once

#include <weir/hypercall.h>

enum weir_service {
	WEIR_SERVICE_PING = 0,	   /* reply[0] = argument[0] */
	WEIR_SERVICE_PROGRESS = 1, /* reply[0] = units done, reply[1] = units in all */
	WEIR_SERVICE_COUNT,
};

#define WEIR_UPCALL_ARGUMENTS 4
#define WEIR_UPCALL_REPLIES   6

static inline enum weir_status weir_upcall_register(uint64_t services)
{
	return weir_do(WEIR_FN_UPCALL_REGISTER, services, 0, 0, 0, 0);
}

struct weir_upcall {
	uint64_t sequence;
	uint64_t service;
	uint64_t argument[WEIR_UPCALL_ARGUMENTS];
};

/*
 * The request that this vCPU was interrupted for. If its deadline passes meanwhile it may be a
 * mixture with the next one; then the sequence is old and the return of it answers WEIR_STALE.
 */
static inline struct weir_upcall weir_upcall_get(const struct weir_pages *pages)
{
	const struct weir_out *out = pages->out;
	struct weir_upcall request;

	request.sequence = __atomic_load_n(&out->upcall_sequence, __ATOMIC_ACQUIRE);
	request.service = out->upcall_service;
	for (int i = 0; i < WEIR_UPCALL_ARGUMENTS; i++)
		request.argument[i] = out->upcall_argument[i];
	return request;
}

/* Answers the request of that sequence: WEIR_FN_UPCALL_RETURN. By the vCPU that was asked. */
static inline enum weir_status weir_upcall_return(const struct weir_pages *pages, uint64_t sequence,
						  enum weir_status status,
						  const uint64_t reply[WEIR_UPCALL_REPLIES])
{
	for (int i = 0; i < WEIR_UPCALL_REPLIES; i++)
		pages->in->upcall_reply[i] = reply[i];
	return weir_do(WEIR_FN_UPCALL_RETURN, sequence, (uint64_t)(int64_t)status, 0, 0, 0);
}
