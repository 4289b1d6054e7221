/* A UART's guest and console in tests (vuart_guest.h). */
#include "vuart_guest.h"

#include <string.h>

struct vm vm, second;
struct vcpu vcpu = { .vm = &vm };

char lines[16][VUART_LINE + 1];
u32 line_count, services;
bool has_room, serve_resumes;
char part[VUART_LINE + 1];
u32 parts;
bool shows;

bool console_vm_line(struct vm *of, const char *text, size_t length)
{
	assert_ptr_equal(of, &vm);
	assert_true(length <= VUART_LINE);
	if (!has_room)
		return false;
	assert_true(line_count < ARRAY_SIZE(lines));
	memcpy(lines[line_count], text, length);
	lines[line_count++][length] = 0;
	return true;
}

bool console_vm_part(struct vm *of, const char *text, size_t length)
{
	assert_true(of == &vm || of == &second);
	assert_true(length <= VUART_LINE);
	if (!has_room)
		return false;
	memcpy(part, text, length);
	part[length] = 0;
	parts++;
	return true;
}

bool console_shows(const struct vm *of)
{
	assert_true(of == &vm || of == &second);
	return shows;
}

struct vm *vm_get(u32 id)
{
	assert_true(id < 2);
	return id ? &second : &vm;
}

void console_service(void)
{
	services++;
	if (serve_resumes)
		vuart_resume(&vm);
}

int start(void **state)
{
	(void)state;
	memset(&vm, 0xa5, sizeof(vm));
	vm.id = 0;
	memset(&vm.uart, 0, sizeof(vm.uart));
	vuart_reset(&vm);
	vcpu.run = VCPU_RUNNING;
	timeout_init_core();
	shows = false;
	parts = 0;
	part[0] = 0;
	fake_pend_reset();
	line_count = services = 0;
	has_room = true;
	serve_resumes = false;
	return 0;
}

bool access_bytes(u64 offset, u32 bytes, bool write, u64 *value)
{
	struct mmio access = { .offset = offset, .bytes = bytes, .write = write, .value = *value };
	bool answered = vuart_mmio(&vcpu, &access);

	*value = access.value;
	return answered;
}

u64 read_bytes(u64 offset, u32 bytes)
{
	u64 value = 0xdeadbeefdeadbeef;

	assert_true(access_bytes(offset, bytes, false, &value));
	return value;
}

void write_bytes(u64 offset, u32 bytes, u64 value)
{
	assert_true(access_bytes(offset, bytes, true, &value));
}

u64 get(u64 offset)
{
	return read_bytes(offset, 4);
}

void set(u64 offset, u64 value)
{
	write_bytes(offset, 4, value);
}

void print(const char *text)
{
	while (*text)
		write_bytes(DR, 1, (u8)*text++);
}
