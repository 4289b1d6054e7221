/*
 * The PL011 of a VM: registers, lines, interrupt, back-pressure.
 *
 * Sources: core/vdev/vuart.c core/timeout.c tests/host/fake/vgic_pend.c tests/host/fake/timer.c
 * Sources: tests/host/fake/cpu.c
 * Sources: tests/host/fake/virtio_console.c
 */
#include <string.h>
#include "fake.h"
#include "core/console.h"
#include "core/vm.h"

/* By the manual, not from drivers/pl011.h: so a wrong number there is seen. */
enum {
	DR = 0x00,
	RSR = 0x04,
	FR = 0x18,
	IBRD = 0x24,
	FBRD = 0x28,
	LCR_H = 0x2c,
	CR = 0x30,
	IFLS = 0x34,
	IMSC = 0x38,
	RIS = 0x3c,
	MIS = 0x40,
	ICR = 0x44,
	DMACR = 0x48,
};

#define FR_BUSY BIT(3)
#define FR_RXFE BIT(4)
#define FR_TXFF BIT(5)
#define FR_RXFF BIT(6)
#define FR_TXFE BIT(7)
#define INT_RX	BIT(4)
#define INT_TX	BIT(5)
#define FEN	BIT(4)

static struct vm vm, second;
static struct vcpu vcpu = { .vm = &vm };

/* The console: keeps lines, or has no room. */
static char lines[16][VUART_LINE + 1];
static u32 line_count, services;
static bool has_room, serve_resumes;
static char part[VUART_LINE + 1]; /* of a line, as the console has it */
static u32 parts;
static bool shows;
static u64 clock;

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

static int start(void **state)
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

static bool access_bytes(u64 offset, u32 bytes, bool write, u64 *value)
{
	struct mmio access = { .offset = offset, .bytes = bytes, .write = write, .value = *value };
	bool answered = vuart_mmio(&vcpu, &access);

	*value = access.value;
	return answered;
}

static u64 read_bytes(u64 offset, u32 bytes)
{
	u64 value = 0xdeadbeefdeadbeef;

	assert_true(access_bytes(offset, bytes, false, &value));
	return value;
}

static void write_bytes(u64 offset, u32 bytes, u64 value)
{
	assert_true(access_bytes(offset, bytes, true, &value));
}

static u64 get(u64 offset)
{
	return read_bytes(offset, 4);
}

static void set(u64 offset, u64 value)
{
	write_bytes(offset, 4, value);
}

static void print(const char *text)
{
	while (*text)
		write_bytes(DR, 1, (u8)*text++);
}

TEST(registers_have_their_reset_values)
{
	assert_int_equal(get(DR), 0);
	assert_int_equal(get(RSR), 0);
	assert_int_equal(get(FR), FR_TXFE | FR_RXFE);
	assert_int_equal(get(IBRD), 0);
	assert_int_equal(get(LCR_H), 0);
	assert_int_equal(get(CR), 0x300);
	assert_int_equal(get(IFLS), 0x12);
	assert_int_equal(get(IMSC), 0);
	assert_int_equal(get(RIS), 0);
	assert_int_equal(get(MIS), 0);
	assert_int_equal(get(DMACR), 0);
}

TEST(identification_is_that_of_a_pl011)
{
	static const u8 id[] = { 0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

	for (u32 i = 0; i < ARRAY_SIZE(id); i++)
		assert_int_equal(get(0xfe0 + 4 * i), id[i]);
	assert_int_equal(get(0xfdc), 0);
}

TEST(registers_keep_the_bits_they_have)
{
	static const struct {
		u32 offset;
		u32 kept;
	} plain[] = { { IBRD, 0xffff }, { FBRD, 0x3f }, { LCR_H, 0xff },
		      { CR, 0xffff },	{ IFLS, 0x3f }, { IMSC, 0x7ff } };

	for (u32 i = 0; i < ARRAY_SIZE(plain); i++) {
		set(plain[i].offset, 0xffffffff);
		assert_int_equal(get(plain[i].offset), plain[i].kept);
		set(plain[i].offset, 0);
		assert_int_equal(get(plain[i].offset), 0);
	}
}

TEST(read_only_and_reserved_registers_ignore_writes)
{
	static const u32 offsets[] = { RSR,  FR,   RIS,	 MIS,	DMACR, 0x08,
				       0x1c, 0x20, 0x4c, 0xfdc, 0xfe0, 0xffc };

	for (u32 i = 0; i < ARRAY_SIZE(offsets); i++) {
		u64 before = get(offsets[i]);

		set(offsets[i], 0xffffffff);
		assert_int_equal(get(offsets[i]), before);
	}
}

TEST(narrow_accesses_reach_their_bytes)
{
	write_bytes(CR, 2, 0x1234);
	assert_int_equal(read_bytes(CR, 1), 0x34);
	assert_int_equal(read_bytes(CR + 1, 1), 0x12);
	assert_int_equal(read_bytes(CR, 2), 0x1234);
	assert_int_equal(read_bytes(CR + 2, 2), 0);
	write_bytes(CR, 1, 0xff);
	assert_int_equal(get(CR), 0x12ff);
	write_bytes(CR + 1, 1, 0xab);
	assert_int_equal(get(CR), 0xabff);
	write_bytes(CR, 1, 0xffffffffffffff01);
	assert_int_equal(get(CR), 0xab01);
	assert_int_equal(read_bytes(FR, 1), FR_TXFE | FR_RXFE);
	assert_int_equal(read_bytes(FR, 2), FR_TXFE | FR_RXFE);
}

TEST(accesses_of_64_bits_abort)
{
	u64 value = 'x';

	assert_false(access_bytes(FR, 8, false, &value));
	assert_false(access_bytes(DR, 8, true, &value));
	vuart_flush(&vm);
	assert_int_equal(line_count, 0);
}

TEST(a_line_is_printed_at_its_end)
{
	print("hello");
	assert_int_equal(line_count, 0);
	print(" world\r\n");
	assert_int_equal(line_count, 1);
	assert_string_equal(lines[0], "hello world");
	print("\n");
	assert_string_equal(lines[1], "");
	write_bytes(DR, 2, 'a');
	write_bytes(DR, 4, 0xffffff0a);
	assert_string_equal(lines[2], "a");
	assert_int_equal(line_count, 3);
}

TEST(a_long_line_is_broken)
{
	for (u32 i = 0; i < VUART_LINE; i++) {
		assert_int_equal(line_count, 0);
		print("x");
	}
	assert_int_equal(line_count, 1);
	assert_int_equal(strlen(lines[0]), VUART_LINE);
	print("rest\n");
	assert_string_equal(lines[1], "rest");
}

/* Else a guest could move the cursor and write in Weir's name. */
TEST(control_characters_do_not_reach_the_console)
{
	print("\x1b[2J\b\a\x7f\rweir: \tno\xc3\xa4\n");
	assert_string_equal(lines[0], "weir: \tno\xc3\xa4");
}

TEST(flush_prints_what_is_gathered)
{
	vuart_flush(&vm);
	assert_int_equal(line_count, 0);
	print("half");
	vuart_flush(&vm);
	assert_string_equal(lines[0], "half");
	vuart_flush(&vm);
	assert_int_equal(line_count, 1);
}

TEST(without_room_the_fifo_reads_full_and_the_line_is_kept)
{
	has_room = false;
	print("kept\n");
	assert_int_equal(get(FR), FR_TXFF | FR_BUSY | FR_RXFE);
	assert_int_equal(services, 1);
	print("lost\n"); /* a guest that does not look at FR */
	vuart_flush(&vm);
	has_room = true;
	vuart_resume(&vm);
	assert_int_equal(get(FR), FR_TXFE | FR_RXFE);
	assert_int_equal(services, 1);
	assert_int_equal(line_count, 1);
	assert_string_equal(lines[0], "kept");
	print("next\n");
	assert_string_equal(lines[1], "next");
}

TEST(polling_fr_gets_a_stuck_line_going)
{
	has_room = false;
	print("kept\n");
	has_room = serve_resumes = true;
	assert_int_equal(get(FR), FR_TXFE | FR_RXFE);
	assert_string_equal(lines[0], "kept");
}

TEST(a_resume_without_room_changes_nothing)
{
	has_room = false;
	print("kept\n");
	vuart_resume(&vm);
	assert_true(get(FR) & FR_TXFF);
	has_room = true;
	vuart_resume(&vm);
	vuart_resume(&vm);
	assert_int_equal(line_count, 1);
}

TEST(the_end_of_a_vm_keeps_a_stuck_half_line)
{
	print("half");
	has_room = false;
	vuart_flush(&vm);
	assert_true(get(FR) & FR_TXFF);
	has_room = true;
	vuart_resume(&vm);
	assert_string_equal(lines[0], "half");
}

/* A guest that waits for the interrupt and not for FR must get going as well. */
TEST(the_transmit_interrupt_rises_when_there_is_room_again)
{
	set(IMSC, INT_TX);
	assert_false(fake_line(VM_UART_INTID));
	print("x");
	assert_true(fake_line(VM_UART_INTID));
	has_room = false;
	print("\n");
	assert_false(fake_line(VM_UART_INTID));
	assert_int_equal(get(RIS), 0);
	has_room = true;
	vuart_resume(&vm);
	assert_true(fake_line(VM_UART_INTID));
	assert_int_equal(get(MIS), INT_TX);
	set(ICR, INT_TX);
	assert_false(fake_line(VM_UART_INTID));
}

TEST(the_line_follows_mask_and_clear)
{
	print("x");
	assert_int_equal(get(RIS), INT_TX);
	assert_int_equal(get(MIS), 0);
	assert_false(fake_line(VM_UART_INTID));
	set(IMSC, INT_TX);
	assert_true(fake_line(VM_UART_INTID));
	set(IMSC, 0);
	assert_false(fake_line(VM_UART_INTID));
	set(IMSC, INT_TX);
	set(ICR, ~INT_TX);
	assert_true(fake_line(VM_UART_INTID));
	write_bytes(ICR, 1, INT_TX);
	assert_false(fake_line(VM_UART_INTID));
}

TEST(typed_bytes_arrive_in_order)
{
	set(LCR_H, FEN);
	set(IMSC, INT_RX);
	for (u32 i = 0; i < VUART_KEPT; i++) {
		assert_int_equal(get(FR) & FR_RXFF, i < VUART_FIFO ? 0 : FR_RXFF);
		assert_true(vuart_receive(&vm, (u8)(100 + i)));
		assert_true(fake_line(VM_UART_INTID));
	}
	assert_int_equal(get(FR), FR_TXFE | FR_RXFF);
	assert_false(vuart_receive(&vm, 1));
	for (u32 i = 0; i < VUART_KEPT; i++) {
		assert_int_equal(get(FR) & FR_RXFF, VUART_KEPT - i < VUART_FIFO ? 0 : FR_RXFF);
		assert_true(fake_line(VM_UART_INTID));
		assert_int_equal(get(DR), (u8)(100 + i));
	}
	assert_false(fake_line(VM_UART_INTID));
	assert_int_equal(get(FR), FR_TXFE | FR_RXFE);
	assert_int_equal(get(DR), 0);
}

TEST(the_receive_ring_goes_round)
{
	set(LCR_H, FEN);
	for (u32 i = 0; i < 5 * VUART_KEPT; i++) {
		assert_true(vuart_receive(&vm, (u8)i));
		assert_true(vuart_receive(&vm, (u8)~i));
		assert_int_equal(get(DR), (u8)i);
		assert_int_equal(get(DR), (u8)~i);
	}
}

TEST(without_the_fifo_there_is_room_for_one_byte)
{
	assert_true(vuart_receive(&vm, 'a'));
	assert_int_equal(get(FR), FR_TXFE | FR_RXFF);
	assert_false(vuart_receive(&vm, 'b'));
	assert_int_equal(get(DR), 'a');
	assert_true(vuart_receive(&vm, 'c'));
}

/* Turned off with bytes inside: what is there is read, nothing more comes in. */
TEST(turning_the_fifo_off_loses_nothing)
{
	set(LCR_H, FEN);
	assert_true(vuart_receive(&vm, 'a'));
	assert_true(vuart_receive(&vm, 'b'));
	set(LCR_H, 0);
	assert_true(get(FR) & FR_RXFF);
	assert_false(vuart_receive(&vm, 'c'));
	assert_int_equal(get(DR), 'a');
	assert_int_equal(get(DR), 'b');
	assert_true(get(FR) & FR_RXFE);
}

TEST(reset_is_as_at_the_start)
{
	set(LCR_H, FEN);
	set(IBRD, 13);
	set(IMSC, INT_RX);
	set(CR, 0);
	assert_true(vuart_receive(&vm, 'a'));
	assert_true(fake_line(VM_UART_INTID));
	vuart_reset(&vm);
	assert_false(fake_line(VM_UART_INTID));
	assert_int_equal(get(FR), FR_TXFE | FR_RXFE);
	assert_int_equal(get(IBRD), 0);
	assert_int_equal(get(IMSC), 0);
	assert_int_equal(get(RIS), 0);
	assert_int_equal(get(LCR_H), 0);
	assert_int_equal(get(CR), 0x300);
	assert_int_equal(get(DR), 0);
}

TEST(reset_keeps_a_line_that_the_console_did_not_take)
{
	has_room = false;
	set(DR, 'x');
	set(DR, '\n');
	vuart_reset(&vm);
	assert_true(get(FR) & FR_TXFF);
	has_room = true;
	vuart_resume(&vm);
	assert_int_equal(line_count, 1);
	assert_string_equal(lines[0], "x");
	assert_int_equal(get(FR), FR_TXFE | FR_RXFE);
}

/* ---- Lines that have not ended --------------------------------------------------------------- */

static void pass(u64 ms)
{
	clock += ms * 1000000;
	fake_timer_set(clock);
	timeout_interrupt();
}

TEST(a_prompt_is_shown_when_the_vm_has_been_silent)
{
	print("login: ");
	for (u32 i = 0; i < 29; i++)
		pass(25);
	assert_int_equal(parts, 0);
	pass(25);
	assert_string_equal(part, "login: ");
	assert_int_equal(fake_timer_el2_deadline(),
			 UINT64_MAX); /* and then nobody looks any more */
	assert_int_equal(line_count, 0);
}

TEST(at_a_vm_that_is_typed_at_it_is_shown_soon)
{
	vuart_receive(&vm, 'x');
	print("# ");
	pass(25);
	assert_int_equal(parts, 0);
	pass(25);
	assert_string_equal(part, "# ");
}

TEST(who_prints_slowly_is_not_silent)
{
	vuart_receive(&vm, 'x');
	for (u32 i = 0; i < 20; i++) {
		print("x");
		pass(25);
	}
	assert_int_equal(parts, 0);
	print("\n"); /* nothing is left for the next test */
}

/* It may have the rest of the line ready. */
TEST(who_does_not_get_its_core_is_not_silent)
{
	vuart_receive(&vm, 'x');
	print("x");
	vcpu.run = VCPU_READY;
	for (u32 i = 0; i < 10; i++)
		pass(25);
	vcpu.run = VCPU_THROTTLED;
	for (u32 i = 0; i < 10; i++)
		pass(25);
	assert_int_equal(parts, 0);
	vcpu.run = VCPU_BLOCKED;
	pass(25);
	pass(25);
	assert_int_equal(parts, 1);
}

/* However many have one: the bytes of all of them are too many for an interrupt. */
TEST(at_each_look_one_part_is_shown)
{
	struct vcpu other = { .vm = &second, .run = VCPU_BLOCKED };
	struct mmio access = { .offset = DR, .bytes = 4, .write = true, .value = '2' };

	memset(&second, 0, sizeof(second));
	second.id = 1;
	memset(&second.uart, 0, sizeof(second.uart));
	vuart_reset(&second);
	print("1");
	assert_true(vuart_mmio(&other, &access));
	for (u32 i = 0; i < 30; i++)
		pass(25);
	assert_int_equal(parts, 1);
	assert_string_equal(part, "1");
	pass(25);
	assert_int_equal(parts, 2);
	assert_string_equal(part, "2");
	assert_int_equal(fake_timer_el2_deadline(), UINT64_MAX);
}

TEST(a_line_that_ends_is_not_looked_at)
{
	print("whole\n");
	assert_int_equal(fake_timer_el2_deadline(), UINT64_MAX);
	print("half");
	assert_int_equal(fake_timer_el2_deadline(), clock + 25000000);
	print("\n");
	assert_int_equal(fake_timer_el2_deadline(), UINT64_MAX);
	assert_int_equal(line_count, 2);
}

TEST(a_line_that_is_shown_goes_on_byte_by_byte)
{
	shows = true;
	print("# l");
	assert_int_equal(parts, 3);
	assert_string_equal(part, "# l");
	has_room = false;
	print("s");
	has_room = true;
	assert_string_equal(part, "# l");
	vuart_receive(&vm, 'x');
	pass(25);
	pass(25);
	assert_string_equal(part, "# ls");
}

TEST(backspace_takes_back_what_is_one_column)
{
	shows = true;
	print("ab\b\b\b\bc\n");
	assert_string_equal(part, "c");
	assert_string_equal(lines[0], "c");
	print("a\xc3\xa4\b\b\bx\n"); /* UTF-8: it would take back more than it has */
	assert_string_equal(lines[1], "a\xc3\xa4x");
}

TEST(escape_sequences_are_left_out)
{
	print("a\x1b[1;31mb\x1b[0Kc\x1b(d\x1b[6ne\n");
	assert_string_equal(lines[0], "abcde");
	print("a\x1b[12\nb\n"); /* the end of the line is never part of one */
	assert_string_equal(lines[1], "a");
	assert_string_equal(lines[2], "b");
}

TEST(what_is_gathered_can_be_shown_at_once)
{
	vuart_show(&vm);
	assert_int_equal(parts, 0);
	print("# ");
	vuart_show(&vm);
	assert_string_equal(part, "# ");
	has_room = false;
	print("\n"); /* now the line is one that waits */
	has_room = true;
	vuart_show(&vm);
	assert_int_equal(parts, 1);
}

#define FRESH(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRESH(registers_have_their_reset_values),
		FRESH(identification_is_that_of_a_pl011),
		FRESH(registers_keep_the_bits_they_have),
		FRESH(read_only_and_reserved_registers_ignore_writes),
		FRESH(narrow_accesses_reach_their_bytes),
		FRESH(accesses_of_64_bits_abort),
		FRESH(a_line_is_printed_at_its_end),
		FRESH(a_long_line_is_broken),
		FRESH(control_characters_do_not_reach_the_console),
		FRESH(flush_prints_what_is_gathered),
		FRESH(without_room_the_fifo_reads_full_and_the_line_is_kept),
		FRESH(polling_fr_gets_a_stuck_line_going),
		FRESH(a_resume_without_room_changes_nothing),
		FRESH(the_end_of_a_vm_keeps_a_stuck_half_line),
		FRESH(the_transmit_interrupt_rises_when_there_is_room_again),
		FRESH(the_line_follows_mask_and_clear),
		FRESH(typed_bytes_arrive_in_order),
		FRESH(the_receive_ring_goes_round),
		FRESH(without_the_fifo_there_is_room_for_one_byte),
		FRESH(turning_the_fifo_off_loses_nothing),
		FRESH(reset_is_as_at_the_start),
		FRESH(reset_keeps_a_line_that_the_console_did_not_take),
		FRESH(a_prompt_is_shown_when_the_vm_has_been_silent),
		FRESH(at_a_vm_that_is_typed_at_it_is_shown_soon),
		FRESH(who_prints_slowly_is_not_silent),
		FRESH(who_does_not_get_its_core_is_not_silent),
		FRESH(at_each_look_one_part_is_shown),
		FRESH(a_line_that_ends_is_not_looked_at),
		FRESH(a_line_that_is_shown_goes_on_byte_by_byte),
		FRESH(backspace_takes_back_what_is_one_column),
		FRESH(escape_sequences_are_left_out),
		FRESH(what_is_gathered_can_be_shown_at_once),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
