/*
 * A VM's console as a virtio device, in the slot behind its disks; a VM without a disk has none. It shares the VM's lines
 * with the UART. What is typed goes to the UART if the guest listens there (its receive interrupt is unmasked), else here.
 *
 * Source: virtio_console.c. Tests: tests/host/test_virtio_console.c, tests/guest/virtio.c
 */
#pragma once

#include "core/base/types.h"

struct vm;

/* Boot. */
void virtio_console_create(struct vm *vm);
u64 virtio_console_heap_bytes(void); /* what that takes, at most */
/* A byte typed for this VM; false: nobody here takes it. */
bool virtio_console_receive(struct vm *vm, u8 byte);
