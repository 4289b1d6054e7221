/*
 * The second manager: does to the VM that life.c names what that one does at the same time, on
 * another core. A word of `second` is the VM's position and how often; 0 is the end. Reports nothing.
 */
#include "tests/guest/life_manager.h"

static weir_handle second;

/* The next word that is not the last one. */
static uint64_t next_word(uint64_t last)
{
	uint64_t word = last;

	while (word == last) {
		event_wait(second, timer_now() + timer_ticks(100000000));
		word = word_of(second);
	}
	return word;
}

int main(void)
{
	uint64_t word = 0;

	weir_port_find(weir_here(), "second", &second);
	while ((word = next_word(word))) {
		struct target target = { .position = word >> 32 };

		for (uint32_t i = 0; i < (uint32_t)word; i++) {
			weir_handle vm = info_of(&target).vm;

			if (i % 3 == 0)
				weir_vm_restart(vm);
			else if (i % 3 == 1)
				weir_vm_start(vm);
			else
				weir_vm_stop(vm);
			task_sleep(70000 * (i % 11));
		}
		weir_port_publish(second, target.position);
	}
	return 0;
}
