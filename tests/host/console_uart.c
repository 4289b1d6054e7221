/* What the console is between, in tests (console_uart.h). */
#include "console_uart.h"

#include <string.h>
#include "arch/arm64/cpu.h"
#include "core/base/log.h"
#include "core/irq.h"
#include "core/monitor.h"
#include "core/timeout.h"
#include "drivers/uart.h"

char line_out[65536];
u32 out_length, room, puts_refused;
bool transmit_on, busy;
const char *input;

static void uart_start(void *registers)
{
	(void)registers;
}

static bool put(u8 byte)
{
	if (!room) {
		puts_refused++;
		return false;
	}
	room--;
	assert_true(out_length + 1 < sizeof(line_out));
	line_out[out_length++] = (char)byte;
	line_out[out_length] = 0;
	return true;
}

static int get(void)
{
	return input && *input ? (u8)*input++ : -1;
}

static void transmit_interrupt(bool on)
{
	transmit_on = on;
}

static void interrupt_clear(void)
{
}

static bool idle(void)
{
	return !busy;
}

static const struct uart_ops uart = { "fake,uart",	  uart_start,	   put, get,
				      transmit_interrupt, interrupt_clear, idle };
const struct uart_ops *present;

bool uart_init(const char *compatible, u32 compatible_bytes, void *registers)
{
	(void)registers;
	present = compatible_bytes == 10 && !memcmp(compatible, "fake,uart", 10) ? &uart : 0;
	return present;
}

const struct uart_ops *uart_get(void)
{
	return present;
}

static void (*handler)(void *context);
static void *handler_context;

void irq_register(u32 intid, u32 core, bool edge, void (*fn)(void *context), void *context)
{
	assert_int_equal(intid, UART_INTID);
	assert_int_equal(core, 0);
	assert_false(edge);
	handler = fn;
	handler_context = context;
}

static struct manifest_vm configs[VMS];
struct vm vms[VMS];
u32 wanted[VMS], printed[VMS];

u32 vm_count(void)
{
	return VMS;
}

struct vm *vm_get(u32 id)
{
	return id < VMS ? &vms[id] : 0;
}

bool vm_print(u32 id)
{
	char text[VUART_LINE];

	memset(text, 'a' + (int)id, sizeof(text));
	if (!console_vm_line(&vms[id], text, id == 0 ? 5 : sizeof(text)))
		return false;
	printed[id]++;
	return true;
}

void vuart_resume(struct vm *vm)
{
	assert_true(wanted[vm->id] > printed[vm->id]);
	vm_print(vm->id);
}

char typed[64];
u32 received, answers, answered, refreshed;

void monitor_receive(u8 byte)
{
	assert_false(monitor_busy());
	typed[received++] = (char)byte;
	answers += byte == '!';
}

bool monitor_busy(void)
{
	return answered < answers;
}

bool monitor_step(void)
{
	if (monitor_busy()) {
		log_line("answer");
		answered++;
	}
	return monitor_busy();
}

void monitor_refresh(void)
{
	refreshed++;
}

u32 cpu_index(void)
{
	return 0;
}

jmp_buf stopped;

void cpu_wait(void)
{
	longjmp(stopped, 1);
}

static void init(void)
{
	char registers[4];

	assert_true(console_init("fake,uart", 10, registers));
}

void interrupt(void)
{
	handler(handler_context);
}

void drain(void)
{
	while (transmit_on)
		interrupt();
}

int start(void **state)
{
	static const char *const names[VMS] = { "a", "b", "longname" };

	(void)state;
	for (u32 i = 0; i < VMS; i++) {
		configs[i] = (struct manifest_vm){ .name = names[i] };
		vms[i] = (struct vm){ .config = &configs[i], .id = i };
		wanted[i] = ENDLESS;
		printed[i] = 0;
	}
	busy = false;
	room = ENDLESS;
	init();
	timeout_init_core();
	for (int i = 0; i < 10; i++)
		console_service();
	console_line(0, "flush", 5);
	console_flush();
	received = answers = answered = refreshed = 0;
	memset(typed, 0, sizeof(typed));
	out_length = puts_refused = 0;
	line_out[0] = 0;
	input = 0;
	for (u32 i = 0; i < VMS; i++)
		printed[i] = 0;
	return 0;
}

u32 count(const char *part)
{
	u32 found = 0;

	for (const char *at = line_out; (at = strstr(at, part)); at++)
		found++;
	return found;
}
