/*
 * Physical interrupts (irq.h). Owns: the tables of handlers and of what VMs have, written at boot.
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
static struct vm *passed[32 * VGIC_SPI_BANKS]; /* by SPI: who has it */

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

void irq_pass(u32 intid, struct vm *vm, bool edge)
{
	passed[intid - 32] = vm;
	gic_enable(intid, vm->config->core[0], edge);
	gic_set(GIC_DISABLE, intid);
}

/* Any but those that each core has. Out of line, and small: the others are hot. */
static RARE APART void device_interrupt(u32 intid)
{
	if (intid >= 32 && intid < 32 + ARRAY_SIZE(passed) && passed[intid - 32]) {
		vgic_hardware_came(passed[intid - 32], intid);
		return;
	}
	for (u32 i = 0; i < handler_count; i++)
		if (handlers[i].intid == intid)
			handlers[i].handler(handlers[i].context);
	gic_deactivate(intid);
}

/* Out of line, so that the two that are hot need no stack. */
static APART void other_interrupt(u32 intid, struct vcpu *current)
{
	/* Handled before deactivation: a level line must have fallen by then. */
	if (intid == GIC_MAINTENANCE_INTID) {
		if (current)
			vgic_sync(current);
	} else if (intid == TIMER_EL2_INTID) {
		timeout_interrupt();
	} else {
		device_interrupt(intid);
		return;
	}
	gic_deactivate(intid);
}

void irq_handle(struct vcpu *current)
{
	u32 intid = gic_acknowledge();

	if (intid >= GIC_SPURIOUS)
		return;
	gic_drop(intid);
	if (intid == GIC_SGI_KICK) {
		gic_deactivate(intid); /* an edge: from now on the next one can come */
		if (current)
			vgic_sync(current);
	} else if (intid == TIMER_VIRTUAL_INTID && current) {
		/* Stays active until the guest deactivates it by its list register. */
		vgic_timer_fired(current);
	} else {
		other_interrupt(intid, current);
	}
}
