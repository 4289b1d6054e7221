/*
 * PSCI for guests: calls that never come back, also when the VM's end has been decided elsewhere. (What the calls do is
 * tested in guests: tests/guest/psci.c, hostile_psci.c and psci_storm.c.)
 *
 * Sources: core/vdev/vpsci.c tests/host/fake/sched.c tests/host/fake/cpu.c tests/host/fake/lock.c tests/host/fake/panic.c
 */
#include <string.h>
#include "fake.h"
#include "core/life.h"
#include "core/sched.h"
#include "core/vdev/vpsci.h"

#define CPU_OFF	     0x84000002u
#define SYSTEM_OFF   0x84000008u
#define SYSTEM_RESET 0x84000009u

static struct vm vm;
static struct vcpu vcpu, other;
static u32 ends;
static enum vm_end how;

void sched_block(void)
{
	fail(); /* none of these waits */
}

/* As the real one: nothing in a VM that is not running, else all its vCPUs stop. */
bool vm_stop(struct vm *of, enum vm_end why)
{
	assert_ptr_equal(of, &vm);
	if (vm.state != VM_RUNNING)
		return false;
	vm.state = VM_DYING;
	ends++;
	how = why;
	sched_stop(&vcpu, true);
	sched_stop(&other, true);
	return true;
}

static int start(void **state)
{
	(void)state;
	memset(&vm, 0, sizeof(vm));
	memset(&vcpu, 0, sizeof(vcpu));
	memset(&other, 0, sizeof(other));
	vm.state = VM_RUNNING;
	vm.vcpu[0] = &vcpu;
	vm.vcpu[1] = &other;
	vm.vcpu_count = 2;
	vcpu.vm = other.vm = &vm;
	vcpu.power = other.power = VCPU_ON;
	ends = 0;
	fake_sched_reset();
	return 0;
}

static void call(u32 function)
{
	vcpu.arch.x[0] = function;
	vpsci_call(&vcpu);
}

TEST(a_vcpu_that_turns_itself_off_is_stopped_and_the_last_one_ends_the_vm)
{
	call(CPU_OFF);
	assert_int_equal(vcpu.power, VCPU_OFF);
	assert_int_equal(fake_sched_count(FAKE_STOP, &vcpu), 1);
	assert_int_equal(ends, 0);
	start(0);
	other.power = VCPU_OFF;
	call(CPU_OFF);
	assert_int_equal(fake_sched_count(FAKE_STOP, &vcpu), 1);
	assert_int_equal(ends, 1);
	assert_int_equal(how, VM_END_OFF);
}

/* By another vCPU, or from outside, whose interrupt has not come yet. */
TEST(calls_that_never_come_back_stop_the_vcpu_if_others_end_the_vm)
{
	static const u32 functions[] = { CPU_OFF, SYSTEM_OFF, SYSTEM_RESET };

	for (u32 i = 0; i < ARRAY_SIZE(functions) * 2; i++) {
		start(0);
		vm.state = VM_DYING;
		other.power = i % 2 ? VCPU_ON : VCPU_OFF;
		call(functions[i / 2]);
		assert_int_equal(fake_sched_count(FAKE_STOP, &vcpu), 1);
		assert_int_equal(fake_sched_count(FAKE_STOP, &other), 0);
		assert_int_equal(ends, 0);
	}
}

TEST(a_vcpu_can_end_the_vm)
{
	call(SYSTEM_OFF);
	assert_int_equal(how, VM_END_OFF);
	start(0);
	call(SYSTEM_RESET);
	assert_int_equal(how, VM_END_RESET);
	assert_int_equal(ends, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		RUN_AFTER(start,
			  a_vcpu_that_turns_itself_off_is_stopped_and_the_last_one_ends_the_vm),
		RUN_AFTER(start, calls_that_never_come_back_stop_the_vcpu_if_others_end_the_vm),
		RUN_AFTER(start, a_vcpu_can_end_the_vm),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
