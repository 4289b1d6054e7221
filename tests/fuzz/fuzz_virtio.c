/*
 * Virtio devices under drivers that do anything: accesses of all sizes to any register from two vCPUs, queues and chains of
 * any kind, pages that are shared meanwhile, requests that end and fail at any time, a VM that ends and begins again. The
 * game, and what has to hold, is of tests/host/virtio_machine.c; each number that it asks for is two bytes of the input.
 *
 * Sources: tests/fuzz/no_locks.c core/vdev/virtio.c core/vdev/virtio_console.c ipc/block.c tests/host/virtio_machine.c tests/fuzz/input.c
 * Sources: tests/host/virtio_play.c core/timeout.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/heap.c tests/host/fake/windows.c tests/host/fake/exit.c tests/host/fake/panic.c
 */
#include "virtio_machine.h"
#include "input.h"

#define STEPS	  250u /* of a game; then all is mended */
#define STEPS_MAX 1000u

static const u8 *data;
static size_t left;

/* Small numbers choose; of the others the upper half is wild. */
static u32 next(void)
{
	u32 number;

	if (left < 2)
		return 0;
	number = data[0] | (u32)data[1] << 8;
	data += 2;
	left -= 2;
	return number * 0x10001u;
}

int LLVMFuzzerTestOneInput(const u8 *input, size_t bytes);

int LLVMFuzzerTestOneInput(const u8 *input, size_t bytes)
{
	data = input;
	left = bytes;
	virtio_machine_make(bytes & 1);
	for (u32 steps = 0; left && steps < STEPS_MAX; steps += STEPS)
		virtio_play(next, STEPS);
	virtio_machine_free();
	return 0;
}
