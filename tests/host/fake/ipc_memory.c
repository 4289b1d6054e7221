/* Memory behind the pools and windows of the fake VMs (ipc_memory.h): one file, mapped many times. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "ipc_memory.h"
#include "core/memory.h"

#define VMS	   4
#define VIEW_PAGES (FAKE_POOL_PAGES + FAKE_WINDOW_PAGES)
#define VM_PAGES   (FAKE_POOL_PAGES + 1) /* the last is the scratch page */

struct view {
	u8 *base; /* of the pool, the window behind it */
	struct {
		u64 pa;
		enum stage2_kind kind;
	} seen[VIEW_PAGES];
};

static struct {
	u32 vms;
	int file;
	u8 *all;
	struct view view[VMS];
} memory;

static u64 offset_of(u32 vm, u64 page)
{
	return (vm * VM_PAGES + page) * PAGE_SIZE;
}

/* Where a physical page is in the file. */
static u64 offset_of_pa(u64 pa)
{
	for (u32 vm = 0; vm < memory.vms; vm++) {
		u64 pool = ipc_pool_pa(vm, 0);

		if (pa >= pool && pa < pool + FAKE_POOL_PAGES * PAGE_SIZE)
			return offset_of(vm, (pa - pool) / PAGE_SIZE);
		if (pa == ipc_scratch_pa(vm))
			return offset_of(vm, FAKE_POOL_PAGES);
	}
	fail_msg("a page is mapped that is nobody's: %lx", (unsigned long)pa);
	return 0;
}

static void show(u8 *at, u64 pa, enum stage2_kind kind)
{
	int protection = kind == STAGE2_NONE	      ? PROT_NONE
			 : kind == STAGE2_SHARED_READ ? PROT_READ
						      : PROT_READ | PROT_WRITE;
	off_t offset = kind == STAGE2_NONE ? 0 : (off_t)offset_of_pa(pa);
	void *where = mmap(at, PAGE_SIZE, protection, MAP_SHARED | MAP_FIXED, memory.file, offset);

	assert_ptr_equal(where, at);
}

static void sync_page(u32 vm, u32 index)
{
	struct view *view = &memory.view[vm];
	const struct stage2 *tables = &ipc_vm(vm)->stage2;
	u64 ipa = index < FAKE_POOL_PAGES ? vm_pool_base(ipc_vm(vm)) + index * PAGE_SIZE
					  : VM_WINDOW_BASE + (index - FAKE_POOL_PAGES) * PAGE_SIZE;
	u64 pa = fake_stage2_pa(tables, ipa);
	enum stage2_kind kind = fake_stage2_kind(tables, ipa);

	if (view->seen[index].pa == pa && view->seen[index].kind == kind)
		return;
	view->seen[index].pa = pa;
	view->seen[index].kind = kind;
	show(view->base + index * PAGE_SIZE, pa, kind);
}

/* What is in no pool is the host's. */
void *mmu_window(enum window window, pa_t pa)
{
	(void)window;
	for (u32 vm = 0; vm < memory.vms; vm++)
		if (pa.raw - ipc_pool_pa(vm, 0) < FAKE_POOL_PAGES * PAGE_SIZE)
			return memory.all + offset_of(vm, 0) + (pa.raw - ipc_pool_pa(vm, 0));
	return (void *)pa.raw;
}

void ipc_memory_sync(void)
{
	for (u32 vm = 0; vm < memory.vms; vm++)
		for (u32 index = 0; index < VIEW_PAGES; index++)
			sync_page(vm, index);
}

void ipc_memory_make(u32 vms)
{
	u64 bytes = vms * VM_PAGES * PAGE_SIZE;

	ipc_memory_free();
	memory.vms = vms;
	memory.file = memfd_create("pools", 0);
	assert_int_equal(ftruncate(memory.file, (off_t)bytes), 0);
	memory.all = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory.file, 0);
	assert_ptr_not_equal(memory.all, MAP_FAILED);
	for (u32 vm = 0; vm < vms; vm++) {
		memory.view[vm].base = mmap(0, VIEW_PAGES * PAGE_SIZE, PROT_NONE,
					    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		assert_ptr_not_equal(memory.view[vm].base, MAP_FAILED);
	}
	ipc_memory_sync();
	ipc_after_call = ipc_memory_sync;
}

void ipc_memory_free(void)
{
	ipc_after_call = 0;
	if (!memory.vms)
		return;
	for (u32 vm = 0; vm < memory.vms; vm++)
		munmap(memory.view[vm].base, VIEW_PAGES * PAGE_SIZE);
	munmap(memory.all, memory.vms * VM_PAGES * PAGE_SIZE);
	close(memory.file);
	memset(&memory, 0, sizeof(memory));
}

int ipc_memory_end(void **state)
{
	ipc_memory_free();
	return ipc_vms_end(state);
}

struct weir_space ipc_memory_space(u32 vm)
{
	return (struct weir_space){ .pool = memory.view[vm].base,
				    .window = memory.view[vm].base + FAKE_POOL_PAGES * PAGE_SIZE,
				    .pool_pages = FAKE_POOL_PAGES,
				    .window_pages = FAKE_WINDOW_PAGES };
}

void *ipc_memory_page(u32 vm, u64 page)
{
	return memory.all + offset_of(vm, page);
}

void ipc_memory_stop(u32 vm)
{
	ipc_vm_end(vm);
	ipc_memory_sync();
}

void ipc_memory_renew(u32 vm)
{
	ipc_vm_renew(vm);
	memset(memory.all + offset_of(vm, 0), 0, VM_PAGES * PAGE_SIZE);
	ipc_memory_sync();
}
