/*
 * A VM's PL011: its registers, whole lines to the console, and what is typed (vuart_guest.h).
 *
 * Sources: core/vdev/vuart.c core/timeout.c tests/host/fake/vgic_pend.c tests/host/fake/timer.c
 * Sources: tests/host/fake/cpu.c
 * Sources: tests/host/fake/virtio_console.c
 * Sources: tests/host/vuart_guest.c
 */
#include <string.h>
#include "vuart_guest.h"

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
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
