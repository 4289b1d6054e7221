/*
 * Block requests as weir/block.h describes them: each that was accepted comes back once, to the vCPU that
 * made it. Source: requests.c
 */
#pragma once

#include "machine.h"

void requests_reset(void);
void requests_begin(u32 vm); /* it begins a life */

/* What WEIR_FN_BLOCK_SUBMIT may answer, as events.h says; `maybe`: what it may, but need not. */
u32 requests_submit_errors(const struct vcpu *vcpu, const u64 x[6], u32 *maybe);
u64 requests_cookie(void); /* a new one */
void requests_accepted(const struct vcpu *vcpu, u64 cookie);
/* A completion comes with one of these, bit n: the status -n; and what this may end with, if there is no room. */
void requests_answered(const struct vcpu *vcpu, u64 cookie, u32 ends);
u32 requests_room(const struct vcpu *vcpu, u32 ends);
void requests_device_broken(u32 device); /* from now on */

/* An honest vCPU takes a completion; false: there is none. */
bool requests_receive(const struct vcpu *vcpu);
/* The vCPU wrote what it liked into the head. */
void requests_lie(const struct vcpu *vcpu);

void requests_check(void);
/* No device has a request any more: all that were accepted are in their rings. */
void requests_check_done(void);
