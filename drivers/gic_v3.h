/* GICv3 and later behind gic.h; only gic.c includes this. Source: gic_v3.c */
#pragma once

#include "drivers/gic.h"

bool gic_v3_init(const struct gic_registers *registers);
bool gic_v3_init_core(void);
void gic_v3_enable(u32 intid, u32 core, bool edge);
void gic_v3_kick(u32 core);
u64 gic_v3_kick_word(u32 core);
void gic_v3_set_active(u32 intid, bool active);
void gic_v3_route(u32 intid, u32 core);
void *gic_v3_distributor(void);
