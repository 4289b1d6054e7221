/*
 * Cooperative tasks. Each vCPU has a circle of them; the one that gives up the vCPU looks, with
 * interrupts masked, for the next whose condition holds. If none does it sleeps: an interrupt that
 * becomes pending after the look ends the WFI although it is masked, so no wake-up is lost.
 *
 * Owns: struct task, while it is not done. Nothing is shared between vCPUs.
 */
#include "guests/lib/runtime.h"

#define STACK_MARK 0x7765697220656e64ull

/* The frame of task_switch (switch.S). */
struct frame {
	uint64_t x19_to_x30[12];
	uint64_t d8_to_d15[8];
};

void task_exit(void);

void task_init(struct task *task)
{
	*task = (struct task){ .next = task };
}

static bool runnable(const struct task *task)
{
	if (!task->ready || task->ready(task->arg))
		return true;
	return task->deadline && timer_now() >= task->deadline;
}

/* The first that can run, beginning after `from`. */
static struct task *find_runnable(struct task *from)
{
	struct task *task = from;

	do {
		task = task->next;
		if (runnable(task))
			return task;
	} while (task != from);
	return NULL;
}

static uint64_t first_deadline(const struct task *from)
{
	const struct task *task = from;
	uint64_t first = 0;

	do {
		if (task->deadline && (!first || task->deadline < first))
			first = task->deadline;
		task = task->next;
	} while (task != from);
	return first;
}

/* Interrupts are masked, but for the handlers of what ended the sleep. */
static struct task *wait_for_runnable(struct task *from)
{
	struct task *next;

	while (!(next = find_runnable(from))) {
		timer_sleep(first_deadline(from));
		irq_restore(0);
		__asm__ volatile("isb" ::: "memory");
		irq_save();
	}
	return next;
}

static void check_stack(const struct task *task)
{
	if (!task->stack_end || *task->stack_end == STACK_MARK)
		return;
	printf("guest: the stack of task %p has overflowed, powering off\n", (const void *)task);
	power_off();
}

static void switch_to(struct cpu *cpu, struct task *next)
{
	struct task *last = cpu->current;

	if (next == last)
		return;
	check_stack(last);
	cpu->current = next;
	task_switch(&last->sp, next->sp);
}

bool task_wait(task_condition ready, void *arg, uint64_t deadline)
{
	uint64_t flags = irq_save();
	struct cpu *cpu = cpu_self();
	struct task *self = cpu->current;
	bool is_ready;

	self->ready = ready;
	self->arg = arg;
	self->deadline = deadline;
	switch_to(cpu, wait_for_runnable(self));
	self->ready = NULL;
	self->deadline = 0;
	is_ready = !ready || ready(arg);
	irq_restore(flags);
	return is_ready;
}

void task_yield(void)
{
	task_wait(NULL, NULL, TASK_FOREVER);
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

void task_sleep(uint64_t ns)
{
	task_wait(never, NULL, timer_now() + timer_ticks(ns));
}

static bool task_is_done(void *arg)
{
	return ((struct task *)arg)->done;
}

void task_join(struct task *task)
{
	task_wait(task_is_done, task, TASK_FOREVER);
}

void task_create(struct task *task, void (*run)(void *arg), void *arg, void *stack, size_t bytes)
{
	struct frame *frame = (struct frame *)((uint8_t *)stack + bytes) - 1;
	uint64_t flags = irq_save();
	struct task *self = cpu_self()->current;

	*frame = (struct frame){ .x19_to_x30 = { (uint64_t)run, (uint64_t)arg } };
	frame->x19_to_x30[11] = (uint64_t)task_entry;
	*task = (struct task){ .next = self->next, .sp = (uint64_t)frame, .stack_end = stack };
	*task->stack_end = STACK_MARK;
	self->next = task;
	irq_restore(flags);
}

/* What a task's function returns to. Its stack is not used any more once `done` can be seen. */
void task_exit(void)
{
	struct cpu *cpu = cpu_self();
	struct task *self = cpu->current, *before = self;

	irq_save();
	while (before->next != self)
		before = before->next;
	before->next = self->next;
	self->done = true;
	switch_to(cpu, wait_for_runnable(before));
}
