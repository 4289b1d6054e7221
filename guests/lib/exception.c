/* Exceptions other than interrupts: the guest's own handler, else a report and the end. */
#include "guests/lib/runtime.h"

static bool (*handler)(struct exception *exception);

void exception_handle(bool (*fn)(struct exception *exception))
{
	handler = fn;
}

/* ESR_ELx.EC, ARM DDI 0487 D17.2.37. */
static const char *class_name(uint64_t syndrome)
{
	switch (syndrome >> 26 & 63) {
	case 0x00:
		return "undefined instruction";
	case 0x0e:
		return "illegal execution state";
	case 0x15:
		return "supervisor call";
	case 0x18:
		return "trapped system register";
	case 0x20:
	case 0x21:
		return "instruction abort";
	case 0x22:
		return "misaligned pc";
	case 0x24:
	case 0x25:
		return "data abort";
	case 0x26:
		return "misaligned sp";
	case 0x3c:
		return "breakpoint";
	default:
		return "exception of an unusual class";
	}
}

static const char *vector_name(uint64_t vector, uint64_t syndrome)
{
	static const char *const kinds[] = { NULL, "interrupt", "fast interrupt", "system error" };

	return vector % 4 ? kinds[vector % 4] : class_name(syndrome);
}

/* Returns if the guest is to go on. Vectors 4 to 7: a handler was interrupted. */
void exception_report(struct exception *exception, uint64_t vector)
{
	if (vector == 0 && handler && handler(exception))
		return;
	console_unlock(); /* it may have happened inside printf */
	printf("guest: unexpected exception: %s%s on vCPU %u, pc %p, address %p, syndrome %p\n",
	       vector_name(vector, exception->syndrome), vector / 4 == 1 ? " in a handler" : "",
	       cpu_index(), (void *)exception->pc, (void *)exception->address,
	       (void *)exception->syndrome);
	printf("guest: x0 %p x1 %p x2 %p x3 %p x19 %p x20 %p lr %p sp %p\n",
	       (void *)exception->x[0], (void *)exception->x[1], (void *)exception->x[2],
	       (void *)exception->x[3], (void *)exception->x[19], (void *)exception->x[20],
	       (void *)exception->x[30], (void *)exception->sp);
	power_off();
}
