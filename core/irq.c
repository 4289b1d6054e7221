/*
 * Physical interrupts (irq.h). Owns: the table of handlers, written at boot.
 */
#include "core/irq.h"

#include "arch/arm64/timer.h"
#include "core/base/panic.h"
#include "core/timeout.h"
#include "core/vm.h"
#include "drivers/gic.h"

#define HANDLERS_MAX 16

static struct {
	u32 intid;
	void (*handler)(void *context);
	void *context;
} handlers[HANDLERS_MAX];
static u32 handler_count;

void irq_register(u32 intid, u32 core, bool edge, void (*handler)(void *context), void *context)
{
	if (handler_count == HANDLERS_MAX)
		panic("irq: no room for a handler of interrupt %u", intid);
	handlers[handler_count].intid = intid;
	handlers[handler_count].handler = handler;
	handlers[handler_count].context = context;
	handler_count++;
	gic_enable(intid, core, edge);
}

static void dispatch(u32 intid, struct vcpu *current)
{
	if (intid == GIC_SGI_KICK || intid == GIC_MAINTENANCE_INTID) {
		if (current)
			vgic_sync(current);
		return;
	}
	if (intid == TIMER_EL2_INTID) {
		timeout_interrupt();
		return;
	}
	for (u32 i = 0; i < handler_count; i++)
		if (handlers[i].intid == intid)
			handlers[i].handler(handlers[i].context);
}

void irq_handle(struct vcpu *current)
{
	u32 intid = gic_acknowledge();

	if (intid >= GIC_SPURIOUS)
		return;
	gic_drop(intid);
	if (intid == TIMER_VIRTUAL_INTID && current) {
		/* Stays active until the guest deactivates it by its list register. */
		vgic_timer_fired(current);
		return;
	}
	/* Handled before deactivation: a level line must have fallen by then. */
	dispatch(intid, current);
	gic_deactivate(intid);
}
