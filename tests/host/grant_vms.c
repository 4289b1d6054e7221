/* Four VMs that share and pass pages (grant_vms.h). */
#include "grant_vms.h"

#include "ipc/grant.h"

/* In the order that the numbers of the ports follow from. */
#ifdef HOME_IS_LAST
static const char *const channels[] = { "ad", "bd", "ab", "ad2", "bc", "ac", 0 };
#else
static const char *const channels[] = { "ab", "ac", "bc", "ab2", "cd", "bd", 0 };
#endif

weir_handle grant;
enum weir_status first, second;

void machine(void)
{
	fake_lock_reset();
	ipc_vms_make(VMS, 2, channels);
	first = second = NOT_ASKED;
}

int machine_make(void **state)
{
	(void)state;
	machine();
	return 0;
}

int machine_free(void **state)
{
	(void)state;
	ipc_vms_free();
	return 0;
}

weir_handle port_of(u32 vm, u32 number)
{
	return ipc_vm(vm)->ipc->event.port[number].handle;
}

enum weir_status share_on(u32 vcpu, u64 page, u32 pages, enum weir_access access)
{
	ipc_run(A, vcpu);
	return weir_grant_share(port_of(A, A_B), page, pages, access, &grant);
}

void share(u32 pages, enum weir_access access)
{
	assert_int_equal(share_on(0, HOME, pages, access), WEIR_OK);
}

enum weir_status map_on(u32 vm, u32 vcpu, u32 port, u64 place)
{
	ipc_run(vm, vcpu);
	return weir_grant_map(port_of(vm, port), grant, place, 0, 0);
}

enum weir_status unmap_on(u32 vm, u32 vcpu, u64 place)
{
	ipc_run(vm, vcpu);
	return weir_grant_unmap(place);
}

enum weir_status pass_on(u32 vm, u32 port, u64 place)
{
	weir_handle on;

	ipc_run(vm, 0);
	return weir_grant_pass_on(port_of(vm, port), place, &on);
}

enum weir_status revoke_on(u32 vcpu)
{
	ipc_run(A, vcpu);
	return weir_grant_revoke(grant);
}

s32 next_event(u32 vm)
{
	struct weir_pages pages = ipc_pages(vm, 0);
	u32 number;

	return weir_event_next(&pages, &number) ? (s32)number : -1;
}

u64 seen_in_window(u32 vm, u64 page)
{
	return fake_stage2_pa(&ipc_vm(vm)->stage2, VM_WINDOW_BASE + page * PAGE_SIZE);
}

u64 seen_at_home(u32 vm, u64 page)
{
	return fake_stage2_pa(&ipc_vm(vm)->stage2, vm_pool_base(ipc_vm(vm)) + page * PAGE_SIZE);
}

bool is_given(u32 vm, u64 page)
{
	bool given;

	grant_lock(ipc_vm(vm));
	given = grant_pages_shared(ipc_vm(vm), PA(ipc_pool_pa(vm, page)), PAGE_SIZE);
	grant_unlock(ipc_vm(vm));
	return given;
}

u32 viewers(u64 pa)
{
	u32 count = 0;

	for (u32 vm = 0; vm < VMS; vm++)
		for (u64 page = 0; page < FAKE_WINDOW_PAGES; page++)
			count += seen_in_window(vm, page) == pa;
	return count;
}

void check_pages(void)
{
	for (u64 page = HOME - 1; page < HOME + 6; page++) {
		u64 pa = ipc_pool_pa(A, page), home = seen_at_home(A, page);
		u32 count = viewers(pa);

		assert_true(count <= 1);
		assert_true(!count || is_given(A, page));
		assert_true(home == pa || (home == ipc_scratch_pa(A) && is_given(A, page)));
	}
}

void check_home_again(u64 page)
{
	assert_int_equal(viewers(ipc_pool_pa(A, page)), 0);
	assert_int_equal(seen_at_home(A, page), ipc_pool_pa(A, page));
	assert_false(is_given(A, page));
}

void passed_and_mapped(void)
{
	machine();
	share(2, WEIR_PASS);
	assert_int_equal(map_on(B, 0, B_A, PLACE), WEIR_OK);
}

void shared_and_mapped(void)
{
	machine();
	share(3, WEIR_READ_WRITE);
	assert_int_equal(map_on(B, 0, B_A, PLACE), WEIR_OK);
}

void shared_only(void)
{
	machine();
	share(3, WEIR_READ_WRITE);
}
