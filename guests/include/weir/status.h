/*
 * Status codes: x0 of every Weir hypercall, and the result of every operation inside the
 * hypervisor.
 *
 * Each value says whose fault it is and whether the same call can succeed later. Values are
 * appended, never renumbered. -1 is SMCCC's NOT_SUPPORTED (ARM DEN 0028, 7.1): an unknown function
 * number answers it, Weir's own calls never do.
 *
 * Since ABI 1.
 */
#pragma once

enum weir_status {
	WEIR_OK = 0,
	WEIR_INVALID = -2, /* caller: an argument is malformed or out of range; never succeeds */
	WEIR_DENIED = -3,  /* caller: well-formed, but the manifest gives no right to it; never */
	WEIR_NOT_FOUND =
		-4,	  /* caller: nothing has that name or number; later, if someone makes it */
	WEIR_STALE = -5,  /* caller: the handle's object is gone and will not come back; never */
	WEIR_AGAIN = -6,  /* nobody: not finished or not ready; repeat the call */
	WEIR_BUSY = -7,	  /* caller or peer: still in use; after the use has ended */
	WEIR_QUOTA = -8,  /* caller: its own allowance is used up; after it gives something back */
	WEIR_CLOSED = -9, /* peer: the other end is gone; after it has come back and reconnected */
	WEIR_IO = -10,	  /* device: the request reached the device and failed there; perhaps */
	WEIR_TIMEOUT = -11, /* peer: no answer before the deadline; perhaps */
	WEIR_FAULT =
		-12, /* caller: a memory range is not its RAM, or not with that access; never */
};
