/*
 * PSCI for guests (ARM DEN 0022 1.1) and the general SMCCC calls (ARM DEN 0028), by HVC and by
 * trapped SMC. Source: vpsci.c
 */
#pragma once

#include "core/vm.h"

/* Serves the call in x0.. of `self`: the result is in x0. */
void vpsci_call(struct vcpu *self);
