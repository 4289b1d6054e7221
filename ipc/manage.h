/*
 * Managing VMs: the calls of the right "manage".
 *
 * Owns:  nothing; the states are core/life.c's. ABI: guests/include/weir/manage.h
 * Source: manage.c. Tests: tests/host/test_manage.c, tests/guest/life.c
 */
#pragma once

#include "ipc/call.h"

enum weir_status manage_info_call(struct vcpu *self, const struct call_args *in,
				  struct call_results *out);
enum weir_status manage_start_call(struct vcpu *self, const struct call_args *in,
				   struct call_results *out);
enum weir_status manage_stop_call(struct vcpu *self, const struct call_args *in,
				  struct call_results *out);
enum weir_status manage_restart_call(struct vcpu *self, const struct call_args *in,
				     struct call_results *out);
