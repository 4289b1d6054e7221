/*
 * The monitor (monitor.h).
 *
 * Owns: which VM gets what is typed, the line that is edited, the command that is being answered.
 * Locks: none; all is the UART's core's own. Figures of other cores are read a word at a time.
 */
#include "core/monitor.h"

#include "core/base/escape.h"
#include "core/base/log.h"
#include "core/base/string.h"
#include "core/console.h"
#include "core/life.h"

#define LINE_BYTES 64u
#define PROMPT	   "weir> "

#define DELETE	    0x7f
#define DELETE_LINE 0x15 /* Ctrl-U */

static struct vm
	*input; /* gets what is typed while the monitor is closed; 0: nobody was asked yet */
static bool opened;

/* The prompt and behind it what is typed, always ended by a 0. */
static char line[LINE_BYTES + 1] = PROMPT;
static u32 length = sizeof(PROMPT) - 1;
static u8 escape; /* of escape_has() */

/* The command that is being answered: `next` prints its next line; 0: none is. */
static struct {
	bool (*next)(void); /* false: that was the last */
	const char *argument;
	struct vm *vm; /* the one that the next line is about */
	u32 row;       /* of that VM's lines */
	bool all;      /* then the VMs behind it */
} job;

/* ---- VMs ------------------------------------------------------------------------------------- */

/* The first from `id` on that was not refused; 0: there is none. */
static struct vm *vm_from(u32 id)
{
	while (id < vm_count() && !vm_get(id))
		id++;
	return vm_get(id);
}

/* The first with the right, else the first. */
static struct vm *first_input(void)
{
	for (struct vm *vm = vm_from(0); vm; vm = vm_from(vm->id + 1))
		if (vm->config->rights & RIGHT_CONSOLE)
			return vm;
	return vm_from(0);
}

static struct vm *input_vm(void)
{
	if (!input)
		input = first_input();
	return input;
}

/* By its number or by its name; 0: none is. */
static struct vm *find(const char *name)
{
	const char *end = name;
	u32 id = 0;

	for (; *end >= '0' && *end <= '9' && id < MAX_VMS; end++)
		id = 10 * id + (u32)(*end - '0');
	if (end != name && !*end)
		return vm_get(id);
	for (struct vm *vm = vm_from(0); vm; vm = vm_from(vm->id + 1))
		if (!strcmp(vm->config->name, name))
			return vm;
	return 0;
}

/* ---- Lines of the answers -------------------------------------------------------------------- */

static void answer(bool (*next)(void))
{
	job.next = next;
	job.row = 0;
}

static bool say_unknown_vm(void)
{
	log_line("no VM has the name or number %s; list shows them", job.argument);
	return false;
}

static bool say_unknown_command(void)
{
	log_line("no command and no VM: %s; help shows what there is", job.argument);
	return false;
}

static bool say_input(void)
{
	log_line("what is typed goes to %s; Ctrl-] comes back here", input->config->name);
	return false;
}

static const char *const help_lines[] = {
	"list: the VMs, their states, cores and priorities",
	"statistics [VM]: what the VMs used, and why they left to the hypervisor",
	"start VM: one that is off",
	"stop VM: in whatever state it is",
	"restart VM: the same, and starts it again",
	"VM: gets what is typed; it is a name or a number",
	"Ctrl-]: the next VM gets what is typed",
};

static bool say_help(void)
{
	log_line("%s", help_lines[job.row++]);
	return job.row < ARRAY_SIZE(help_lines);
}

/* On to the next VM, if the answer is about all; false: there is none. */
static bool next_vm(void)
{
	job.row = 0;
	job.vm = job.all ? vm_from(job.vm->id + 1) : 0;
	return job.vm != 0;
}

static bool say_vm(void)
{
	const struct vm *vm = job.vm;
	char cores[4 * MAX_VCPUS];
	size_t at = 0;

	for (u32 i = 0; i < vm->vcpu_count; i++)
		at += format_text(cores + at, sizeof(cores) - at, i ? ",%u" : "%u",
				  vm->config->core[i]);
	log_line("%u %s: %s, started %lu times, priority %u, cores %s%s", vm->id, vm->config->name,
		 vm_state_name(read_once(vm->state)), read_once(vm->life), vm->config->priority,
		 cores, vm == input_vm() ? ", has the input" : "");
	job.vm = vm_from(vm->id + 1);
	return job.vm != 0;
}

/* ---- Statistics ------------------------------------------------------------------------------ */

/* What is added up is as it was at slightly different moments. */
static void add_account(struct account *sum, const struct account *of)
{
	u64 run = read_once(of->run), steal = read_once(of->steal), now = timer_now();
	u64 sends = read_once(of->sends);

	for (u32 i = 0; i < ACCOUNT_REASONS; i++)
		sum->exit[i] += read_once(of->exit[i]);
	sum->exit[ACCOUNT_HYPERCALL] += sends;
	sum->events += read_once(of->events) + read_once(of->ring.events) + sends;
	sum->block_requests += read_once(of->block_requests) + read_once(of->ring.block_requests);
	sum->block_sectors += read_once(of->block_sectors) + read_once(of->ring.block_sectors);
	sum->block_ticks += read_once(of->block_ticks);
	sum->ring.events += read_once(of->ring.events);
	sum->ring.block_requests += read_once(of->ring.block_requests);
	sum->ring.copies += read_once(of->ring.copies);
	sum->ring.copied_bytes += read_once(of->ring.copied_bytes);
	sum->comm_ticks += read_once(of->comm_ticks);
	sum->run += account_clock_value(run, now);
	sum->steal += account_clock_value(steal, now);
}

static u64 ticks_to_us(u64 ticks)
{
	u64 frequency = timer_frequency();

	return ticks / frequency * 1000000 + ticks % frequency * 1000000 / frequency;
}

static u64 ticks_to_ms(u64 ticks)
{
	return ticks_to_us(ticks) / 1000;
}

static void say_use(const char *name, const struct account *sum)
{
	log_line("%s: run %lu ms, steal %lu ms, %lu hypercalls, %lu events, %lu block requests of "
		 "%lu KiB in %lu ms",
		 name, ticks_to_ms(sum->run), ticks_to_ms(sum->steal), sum->exit[ACCOUNT_HYPERCALL],
		 sum->events, sum->block_requests, sum->block_sectors / 2,
		 ticks_to_ms(sum->block_ticks));
}

static void say_exits(const char *name, const struct account *sum)
{
	log_line("%s: exits: PSCI %lu, MMIO %lu, aborts %lu, registers %lu, waits %lu, FP %lu, "
		 "interrupts %lu, other %lu",
		 name, sum->exit[ACCOUNT_PSCI], sum->exit[ACCOUNT_MMIO], sum->exit[ACCOUNT_ABORT],
		 sum->exit[ACCOUNT_SYSREG], sum->exit[ACCOUNT_WAIT], sum->exit[ACCOUNT_FP],
		 sum->exit[ACCOUNT_INTERRUPT], sum->exit[ACCOUNT_OTHER]);
}

/* Of its submission ring; nothing if it has not used it. */
static void say_ring(const char *name, const struct account *sum)
{
	const struct account_ring *ring = &sum->ring;

	if (ring->events | ring->block_requests | ring->copies | sum->comm_ticks)
		log_line("%s: ring: %lu events, %lu block requests, %lu copies of %lu KiB, "
			 "%lu us of communication cores",
			 name, ring->events, ring->block_requests, ring->copies,
			 ring->copied_bytes / KIB, ticks_to_us(sum->comm_ticks));
}

/* Three lines at most for the VM; then, if it has more than one, the same for each vCPU. */
static bool say_statistics(void)
{
	static void (*const say[])(const char *name,
				   const struct account *sum) = { say_use, say_exits, say_ring };
	const struct vm *vm = job.vm;
	struct account sum = { 0 };
	u32 who = job.row / 3;
	char name[48];

	for (u32 i = 0; i < vm->vcpu_count; i++)
		if (!who || i == who - 1)
			add_account(&sum, &vm->vcpu[i]->account);
	format_text(name, sizeof(name), who ? "%s vCPU %u" : "%s", vm->config->name, who - 1);
	say[job.row++ % 3](name, &sum);
	if (job.row < 3 * (vm->vcpu_count > 1 ? 1 + vm->vcpu_count : 1))
		return true;
	return next_vm();
}

/* ---- Commands -------------------------------------------------------------------------------- */

static void list_command(void)
{
	job.vm = vm_from(0);
	answer(say_vm);
}

static void statistics_command(void)
{
	job.all = !*job.argument;
	job.vm = job.all ? vm_from(0) : find(job.argument);
	answer(job.vm ? say_statistics : say_unknown_vm);
}

static bool say_state(void)
{
	log_line("%s is %s", job.vm->config->name, vm_state_name(read_once(job.vm->state)));
	return false;
}

static bool say_not_off(void)
{
	log_line("%s is not off: it is %s", job.vm->config->name,
		 vm_state_name(read_once(job.vm->state)));
	return false;
}

static void command_vm(enum vm_command what)
{
	enum weir_status status;

	job.vm = find(job.argument);
	if (!job.vm) {
		answer(say_unknown_vm);
		return;
	}
	status = vm_command(job.vm, what, VM_ANY_LIFE);
	answer(status == WEIR_OK ? say_state : say_not_off);
}

static void start_command(void)
{
	command_vm(VM_START);
}

static void stop_command(void)
{
	command_vm(VM_STOP);
}

static void restart_command(void)
{
	command_vm(VM_RESTART);
}

static void help_command(void)
{
	answer(say_help);
}

static const struct {
	const char *name;
	void (*run)(void);
} commands[] = {
	{ "list", list_command },   { "statistics", statistics_command },
	{ "start", start_command }, { "stop", stop_command },
	{ "help", help_command },   { "restart", restart_command },
};

static void give_input(struct vm *vm)
{
	input = vm;
	opened = false;
	answer(say_input);
}

/* Cuts the word off at `text`; returns where the next one begins. */
static char *cut_word(char *text)
{
	while (*text && *text != ' ')
		text++;
	while (*text == ' ')
		*text++ = 0;
	return text;
}

static void run_command(char *word)
{
	char *argument = cut_word(word);

	cut_word(argument);
	job.argument = argument;
	for (u32 i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(word, commands[i].name)) {
			commands[i].run();
			return;
		}
	}
	job.argument = word;
	if (find(word))
		give_input(find(word));
	else
		answer(say_unknown_command);
}

/* ---- The line -------------------------------------------------------------------------------- */

static void show_prompt(void)
{
	console_prompt(line, length);
}

static void clear_line(void)
{
	length = sizeof(PROMPT) - 1;
	line[length] = 0;
}

static void end_line(void)
{
	char *word = line + sizeof(PROMPT) - 1;

	console_prompt_end(line, length);
	while (*word == ' ')
		word++;
	if (*word)
		run_command(word);
}

static void edit(u8 byte)
{
	if (escape_has(&escape, byte))
		return;
	if (byte == '\r' || byte == '\n') {
		end_line();
		if (job.next)
			return; /* what was typed is its argument until it is done */
		clear_line();
	} else if (byte == '\b' || byte == DELETE) {
		length -= length > sizeof(PROMPT) - 1;
	} else if (byte == DELETE_LINE) {
		clear_line();
	} else if (byte >= ' ' && byte < DELETE && length < LINE_BYTES) {
		line[length++] = (char)byte;
	}
	line[length] = 0;
	show_prompt();
}

void monitor_receive(u8 byte)
{
	if (!input_vm())
		return;
	if (byte != MONITOR_KEY) {
		if (opened)
			edit(byte);
		else /* a byte for which the VM has no room is lost, as on a wire */
			vuart_receive(input, byte);
	} else if (opened) {
		struct vm *next = vm_from(input->id + 1);

		console_prompt_end(line, length);
		clear_line();
		give_input(next ? next : vm_from(0));
	} else {
		opened = true;
		show_prompt();
	}
}

bool monitor_busy(void)
{
	return job.next != 0;
}

bool monitor_step(void)
{
	if (!job.next)
		return false;
	if (job.next())
		return true;
	job.next = 0;
	clear_line();
	monitor_refresh();
	return false;
}

void monitor_refresh(void)
{
	if (opened && !job.next)
		show_prompt();
	else if (!opened && input)
		vuart_show(input);
}
