/* GICv2 behind gic.h; only gic.c includes this. Source: gic_v2.c */
#pragma once

#include "drivers/gic.h"

bool gic_v2_init(const struct gic_registers *registers);
/* After that: list_regs_init() says what it means. */
bool gic_v2_loses_lines(void);
void gic_v2_init_core(void);
u32 gic_v2_acknowledge(void);
void gic_v2_drop(u32 intid);
void gic_v2_deactivate(u32 intid);
void gic_v2_enable(u32 intid, u32 core, bool edge);
void gic_v2_kick(u32 core);
void gic_v2_set_active(u32 intid, bool active);
void gic_v2_route(u32 intid, u32 core);
void *gic_v2_distributor(void);
