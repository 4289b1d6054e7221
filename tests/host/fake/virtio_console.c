/* No VM has a virtio console: for programs that are linked with who makes one, or gives it what was typed. */
#include "fake.h"
#include "core/vdev/virtio_console.h"

void virtio_console_create(struct vm *vm)
{
	(void)vm;
}

u64 virtio_console_heap_bytes(void)
{
	return 0;
}

bool virtio_console_receive(struct vm *vm, u8 byte)
{
	(void)vm;
	(void)byte;
	return false;
}
