/*
 * A model of the virtual interrupt controller, in which an interrupt is a few booleans and the next one is
 * found by looking at all of them; and the moves of guests, devices and EL2 that are made to it and to the
 * real one alike. After each, the list registers must offer the guest what the model says.
 *
 * Linked with core/vdev/vgic*.c and the fakes that test_vgic_random.c names. Source: vgic_model.c
 */
#pragma once

#include "core/base/types.h"

/*
 * Begins anew. Whatever is chosen is chosen by `dice`, which gives 0..sides - 1. `two_steps`: EOImode 1.
 */
void vgic_model_begin(u32 version, bool two_steps, u32 (*dice)(u32 sides));
/* One move, and the comparison. */
void vgic_model_step(void);
