/*
 * Where the disks of block_error.dts fail. tests/qemu/test_guests.py makes them so; a sector is
 * counted from the start of its device, of which VM `asker` has the first half as its disk 0.
 */
#pragma once

#define READ_FAILS   700u  /* each read that includes it */
#define WRITE_FAILS  1100u /* each write that includes it */
#define HALF_SECTORS 4096u

/* What `neighbour` publishes on channel "pair" when it is at work; it ends when `asker` is off. */
#define PAIR_READY 1u
