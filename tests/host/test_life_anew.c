/*
 * That nothing is left of a life of a VM: all tables, byte by byte, are as after the first (life_vms.h).
 *
 * Sources: core/life.c core/timeout.c core/base/log.c drivers/block_device.c
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c ipc/block.c
 * Sources: tests/host/fake/heap.c tests/host/fake/log.c tests/host/fake/stage2.c
 * Sources: tests/host/fake/timer.c tests/host/fake/cpu.c tests/host/fake/panic.c
 * Sources: tests/host/life_vms.c tests/host/fake/cache.c tests/host/fake/gic_pend.c
 */
#include <stdlib.h>
#include <string.h>
#include <weir/block.h>
#include <weir/event.h>
#include <weir/grant.h>
#include <weir/manage.h>
#include <weir/upcall.h>
#include "life_vms.h"
#include "soak.h"
#include "core/hypercall.h"
#include "core/vdev/virtio.h"
#include "ipc/event.h"

#define PIECES 256u
#define KINDS  8u /* of lives: live_once() */

struct snapshot {
	u32 count;
	const u8 *memory[PIECES];
	u8 *copy[PIECES];
	u64 bytes[PIECES];
};

static void copy_piece(void *memory, u64 bytes, void *arg)
{
	struct snapshot *snapshot = arg;
	u32 i = snapshot->count++;

	assert_true(i < PIECES);
	snapshot->memory[i] = memory;
	snapshot->bytes[i] = bytes;
	snapshot->copy[i] = malloc(bytes);
	memcpy(snapshot->copy[i], memory, bytes);
}

/* A word that counts lives, calls or who had a lock: another one each time. */
static void except(struct snapshot *snapshot, const void *word, u64 bytes)
{
	for (u32 i = 0; i < snapshot->count; i++) {
		u64 offset = (u64)((const u8 *)word - snapshot->memory[i]);

		if ((const u8 *)word >= snapshot->memory[i] && offset < snapshot->bytes[i]) {
			memset(snapshot->copy[i] + offset, 0, bytes);
			return;
		}
	}
	fail_msg("not in the heap");
}

static void except_counts(struct snapshot *snapshot, const struct vm *vm)
{
	const struct vm_ipc *ipc = vm->ipc;

	for (u32 i = 0; i < ipc->event.port_count; i++)
		except(snapshot, &ipc->event.port[i].handle, sizeof(u64));
	for (u32 i = 0; i < ipc->grant.pool_pages; i++)
		except(snapshot, &ipc->grant.grant[i].generation, sizeof(u64));
	except(snapshot, &ipc->upcall.ends, sizeof(u64));
	except(snapshot, &ipc->event.lock, sizeof(struct spinlock));
	except(snapshot, &ipc->grant.lock, sizeof(struct spinlock));
	for (u32 i = 0; i < ipc->block.disk_count; i++)
		except(snapshot, &vm->virtio[i]->lock, sizeof(struct spinlock));
	for (u32 i = 0; i < VCPUS; i++) {
		const struct vcpu_ipc *vcpu = vm->vcpu[i]->ipc;

		except(snapshot, &vcpu->results, sizeof(vcpu->results));
		except(snapshot, &vcpu->upcall.life, sizeof(u64));
		except(snapshot, &vcpu->block.lock, sizeof(struct spinlock));
		except(snapshot, &vcpu->submit.lock, sizeof(struct spinlock));
	}
}

static struct snapshot take(void)
{
	struct snapshot snapshot = { 0 };

	fake_heap_each(copy_piece, &snapshot);
	except_counts(&snapshot, a);
	except_counts(&snapshot, b);
	return snapshot;
}

static void drop(struct snapshot *snapshot)
{
	for (u32 i = 0; i < snapshot->count; i++)
		free(snapshot->copy[i]);
}

static void assert_same(const struct snapshot *first, const struct snapshot *now)
{
	assert_int_equal(first->count, now->count);
	for (u32 i = 0; i < first->count; i++)
		assert_memory_equal(first->copy[i], now->copy[i], first->bytes[i]);
}

/* All of the sharer's pool but what does not fit into the window of the other, who maps it. */
static void share_and_map(struct vm *from, struct vm *to, const char *channel)
{
	struct weir_pages pages = run(from, 0);
	weir_handle ours, theirs, grant = 0, small = 0;

	assert_int_equal(weir_port_find(&pages, channel, &ours), WEIR_OK);
	assert_int_equal(weir_grant_share(ours, 0, 64, WEIR_READ_WRITE, &grant), WEIR_OK);
	assert_int_equal(weir_grant_share(ours, 64, 2, WEIR_READ, &small), WEIR_OK);
	assert_int_equal(weir_port_publish(ours, grant), WEIR_OK);
	pages = run(to, 0);
	assert_int_equal(weir_port_find(&pages, channel, &theirs), WEIR_OK);
	assert_int_equal(weir_grant_map(theirs, grant, 0, 0, 0), WEIR_OK);
	assert_int_equal(weir_grant_map(theirs, small, 64, 0, 0), WEIR_OK);
	assert_int_equal(weir_event_send(theirs), WEIR_OK);
}

/* What the guest leaves behind is another thing in each life: `mark`. */
static void use_all(struct vm *vm, u32 completed, u8 mark)
{
	struct weir_pages pages = run(vm, 0);
	weir_handle port;

	pages.in->event_head[0] = pages.out->event_tail[0]; /* or its port could not be bound */
	pages = run(vm, 1);
	assert_int_equal(weir_port_find(&pages, "two", &port), WEIR_OK);
	assert_int_equal(weir_port_bind(port, 1, 3), WEIR_OK);
	assert_int_equal(weir_upcall_register(1u << WEIR_SERVICE_PING), WEIR_OK);
	memset(pages.in, mark, sizeof(*pages.in));
	for (u32 i = 0; i < VCPUS; i++)
		assert_int_equal(fill_slots(vm, i), WEIR_COMPLETIONS);
	while (completed--)
		device_finish_one();
}

/* Both end, in either order and way; then both are as new. */
static void live_once(u64 turn_number)
{
	struct vm *first = turn_number & 1 ? a : b, *last = turn_number & 1 ? b : a;

	enter(a);
	enter(b);
	share_and_map(a, b, "one");
	share_and_map(b, a, "two");
	use_all(first, turn_number & 2 ? 20 : 0, (u8)(turn_number * 7 | 1));
	command(first, turn_number & 4 ? VM_STOP : VM_RESTART);
	settle(first);
	if (turn_number & 4) {
		command(first, VM_START);
		settle(first);
	}
	command(last, VM_RESTART);
	settle(last);
	/* The one that was there heard of the other's end; so once more, in one order. */
	enter(a);
	enter(b);
	command(a, VM_RESTART);
	settle(a);
	command(b, VM_RESTART);
	settle(b);
}

static void assert_nothing_is_mapped(const struct vm *vm)
{
	/* But its RAM and its own shared pages. */
	assert_int_equal(fake_stage2_pages(&vm->stage2),
			 (RAM_BYTES + ipc_shared_bytes(vm->config)) / PAGE_SIZE);
	assert_int_equal(vm->ending, 0);
	assert_int_equal(vm->vcpu[0]->turns, TURNS_GUEST);
	for (u32 i = 0; i < VCPUS; i++)
		assert_int_equal(vm->vcpu[i]->ipc->block.free, UINT64_MAX);
}

TEST(all_tables_are_after_each_life_as_after_the_first)
{
	u64 lives = soak_count(1000, 10000);
	struct snapshot first[KINDS], now;
	u64 allocations = fake_heap_allocations();

	command(a, VM_RESTART); /* so that each of them has been rebuilt once */
	settle(a);
	command(b, VM_RESTART);
	settle(b);
	/* A free slot keeps what its last request was; so each kind of life comes once before. */
	for (u32 kind = 0; kind < KINDS; kind++)
		live_once(kind);
	for (u32 kind = 0; kind < KINDS; kind++) {
		live_once(kind);
		first[kind] = take();
	}
	for (u64 life = 0; life < lives; life++) {
		live_once(life);
		assert_nothing_is_mapped(a);
		assert_nothing_is_mapped(b);
		now = take();
		assert_same(&first[life % KINDS], &now);
		drop(&now);
		fake_log_reset();
		fake_cache_reset();
	}
	for (u32 kind = 0; kind < KINDS; kind++)
		drop(&first[kind]);
	assert_int_equal(fake_heap_allocations(), allocations);
}

static bool was_scrubbed(const void *page)
{
	for (u32 i = 0; i < min(scrubs, ARRAY_SIZE(scrubbed)); i++)
		if (scrubbed[i] == (u64)page)
			return true;
	return false;
}

/* Zero also for a guest whose MMU is off, and who reads past the caches: "scrub" in core/memory.h. */
TEST(pages_that_the_guest_sees_begin_each_life_as_zeroes_in_memory)
{
	u32 pages;

	pages = 2 + (u32)(event_ring_bytes(a->config) / PAGE_SIZE);
	scrubs = 0;
	command(a, VM_RESTART);
	settle(a);
	assert_int_equal(scrubs, VCPUS * pages + 1);
	for (u32 i = 0; i < VCPUS; i++)
		for (u32 page = 0; page < pages; page++)
			assert_true(
				was_scrubbed((const u8 *)a->vcpu[i]->ipc->in + page * PAGE_SIZE));
	assert_true(was_scrubbed(a->ipc->grant.scratch));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(pages_that_the_guest_sees_begin_each_life_as_zeroes_in_memory),
		CASE(all_tables_are_after_each_life_as_after_the_first),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
