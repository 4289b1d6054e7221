/* Moves of guests that are about the submission ring, and who drains it (moves.h). */
#include "moves.h"

#include <weir/submit.h>
#include "commands.h"
#include "events.h"
#include "input.h"
#include "ipc/submit.h"

/* RAM, the window, and what lies around them; mostly for a few words. */
static u64 some_place(void)
{
	u32 byte = input_byte();
	u64 place =
		byte & 1 ? VM_WINDOW_BASE + some_page(self->vm->ipc->grant.window_pages) * PAGE_SIZE
			 : align_down(some_buffer(), 8);

	return byte < 240 ? place + (byte & 0xf0) * 8 : place + (byte & 15);
}

void move_put(void)
{
	u32 byte = input_byte(), size;

	if (byte < 100) {
		commands_put(self, WEIR_COMMAND_EVENT | (byte < 98 ? 0 : input_word() << 8),
			     some_port(), 0);
	} else if (byte < 150) {
		commands_put(self,
			     WEIR_COMMAND_BLOCK | (u64)input_below(4) << 8 |
				     (u64)input_below(4) << 16 | (u64)input_below(32) << 32,
			     byte & 1 ? 0 : input_byte(), byte & 1 ? 0 : some_buffer());
	} else if (byte < 250) {
		size = input_byte();
		size = size < 240 ? size * 8 : size < 250 ? (size - 230) * 1024 : (u32)input_word();
		commands_put(self, WEIR_COMMAND_COPY | (u64)size << 32, some_place(), some_place());
	} else {
		commands_put(self, input_word(), 0, 0);
	}
}

/* No event, for what happened to a port is not known any more. */
void move_ring_lie(void)
{
	u32 byte = input_byte();
	u64 head = self->ipc->out->submit_head;

	commands_lie(self, byte < 128	? head + (byte & 127)
			   : byte < 192 ? head - (byte & 63)
					: input_word());
}

void move_ring_call(void)
{
	events_loose();
	commands_before(self);
	call(WEIR_FN_SUBMIT, 0, 0, junk(), 0, 1u << -WEIR_AGAIN | 1);
	commands_after(self, sure);
}

/* A communication core: whatever the VM does. */
void move_drain(void)
{
	u32 byte = input_byte();
	u64 quantum = byte < 128 ? (byte & 15) * 1024 : UINT64_MAX, used;
	struct vcpu *vcpu = self;

	events_loose();
	commands_before(vcpu);
	used = submit_drain(vcpu, quantum);
	/* In the midst of a call of the vCPU's it is not known how many requests that has. */
	commands_after(vcpu,
		       inside ? !events_are_blind() && vcpu->run != VCPU_RUNNING : !disturbed());
	if (byte & 64)
		submit_sleep(vcpu);
	assert_true(used == 0 || used < quantum || used - quantum < 2 * PAGE_SIZE);
}
