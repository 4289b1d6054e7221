/*
 * Boot, in C: from the tree in x0 to the first guest. The boot core discovers, builds and then
 * releases the others; each core ends in the scheduler.
 *
 * Owns: the platform and the manifest, read-only after boot.
 */
#include "arch/arm64/barrier.h"
#include "arch/arm64/cpu.h"
#include "arch/arm64/mmu.h"
#include "arch/arm64/stage2.h"
#include "arch/arm64/timer.h"
#include "core/base/panic.h"
#include "core/base/stack_guard.h"
#include "core/base/string.h"
#include "core/console.h"
#include "core/disks.h"
#include "core/hypercall.h"
#include "core/life.h"
#include "core/machine.h"
#include "core/memory.h"
#include "core/passthrough.h"
#include "core/probe.h"
#include "core/sched.h"
#include "core/watchdog.h"
#include "drivers/bcm2835_pm.h"
#include "drivers/gic.h"

#define TREE_MAGIC 0xd00dfeedu
#define TREE_MAX   (2 * MIB - 2 * PAGE_SIZE) /* one table of EL2 translates it, wherever it lies */
#define IMAGE_MAX  (1000 * MIB)		     /* it shares 1 GiB of addresses with the tree */
/* A core that firmware started and that is not here by then is missing. */
#define START_US 1000000

static struct platform platform;
static struct manifest manifest;
static u32 awaited;   /* atomic: the core that was started and is not here yet; 0: none */
static bool released; /* atomic: everything is built */

/* The tree is mapped by its own size, which its header tells. 0: x0 points at no tree. */
static const void *map_tree(u64 tree)
{
	u32 magic, bytes, last;

	if (!tree || tree & 7 || !probe_memory(tree, &magic) || !probe_memory(tree + 4, &bytes))
		return 0;
	bytes = __builtin_bswap32(bytes);
	if (__builtin_bswap32(magic) != TREE_MAGIC || bytes < 8 || bytes > TREE_MAX ||
	    !probe_memory(tree + bytes - 1, &last))
		return 0;
	return mmu_map_read_only(PA(tree), bytes);
}

/*
 * `why` is 0 where the line has been printed already. Without a tree nobody knows a UART: the lines
 * stay in memory, for a debugger.
 */
__attribute__((noreturn)) static void stop(const char *why)
{
	if (why)
		log_line("%s", why);
	machine_off();
	for (;;)
		cpu_wait();
}

static void start_console(void)
{
	void *registers = platform.uart.bytes ? probe_device("uart", &platform.uart) : 0;

	if (registers)
		console_init(platform.uart_compatible, platform.uart_compatible_bytes, registers);
}

static bool init_core(void)
{
	if (!gic_init_core())
		return false;
	timer_init_core();
	timeout_init_core();
	stage2_init_core();
	sched_init_core(cpu_index());
	gic_enable(TIMER_EL2_INTID, cpu_index(), false);
	gic_enable(TIMER_VIRTUAL_INTID, cpu_index(), false);
	gic_enable(GIC_MAINTENANCE_INTID, cpu_index(), false);
	gic_enable(GIC_SGI_KICK, cpu_index(), true);
	return true;
}

/* What the boot loader passes goes before what is joined to the hypervisor. */
static void find_system_image(void)
{
	struct range joined = { mmu_image_pa().raw + mmu_image_bytes(), mmu_joined_bytes() };

	if (platform.system_image.bytes && joined.bytes)
		log_line("/chosen: linux,initrd-start: this system image is taken, not the one "
			 "that is joined to the hypervisor");
	if (platform.system_image.bytes || !joined.bytes)
		return;
	platform.system_image = joined;
	platform_reserve(&platform, joined);
}

static void check_system_image(void)
{
	if (!platform.system_image.bytes)
		stop("/chosen: linux,initrd-start: no system image: pass one (QEMU: -initrd), or "
		     "join it (tools/weir join)");
	if (!memory_holds(&platform, platform.system_image))
		stop("/chosen: linux,initrd-start: expected a system image in the memory that the "
		     "memory nodes tell of; load it there");
	if (platform.system_image.bytes > IMAGE_MAX)
		stop("/chosen: linux,initrd-end: expected a system image of at most 1000 MiB; "
		     "make it smaller");
}

/* ---- Secondary cores ---- */

/*
 * The core `index` was started and is here within the time. Else it loses its place: should it come
 * later, it finds that nobody waits for it, and stops. A machine that stands still, as one that is emulated may,
 * does so with all its cores: of the time between two looks no more than a thousandth of the whole counts.
 */
static bool core_came(u32 index)
{
	u64 last = timer_now(), waited = 0, most = timer_from_us(START_US);

	while (__atomic_load_n(&awaited, __ATOMIC_ACQUIRE) == index) {
		u64 now = timer_now();

		waited += min(now - last, most / 1000);
		last = now;
		if (waited > most &&
		    __atomic_compare_exchange_n(&awaited, &(u32){ index }, 0, false,
						__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return false;
		cpu_relax();
	}
	return true;
}

/* Cores that wait at one address would all come at once, with one number and one stack. */
static bool release_is_shared(const struct platform_cpu *cpu, u32 found)
{
	for (u32 i = 0; i < found; i++)
		if (!platform.cpu[i].psci && platform.cpu[i].release == cpu->release &&
		    platform.cpu[i].mpidr != cpu->mpidr)
			return true;
	return false;
}

/* Has firmware start a core as number `index`. False: it stays off, and a line says why. */
static bool start_core(const struct platform_cpu *cpu, u32 index, u32 found)
{
	static u32 stacks; /* one that was not used is the next core's */
	s32 status = 0;

	if (!cpu->psci && release_is_shared(cpu, found)) {
		log_line("tree: /cpus/cpu@%lx: cpu-release-addr: expected one that no other core "
			 "has; it stays off",
			 cpu->mpidr);
		return false;
	}
	if (stacks < index)
		mmu_map_stack(++stacks, heap_page);
	__atomic_store_n(&awaited, index, __ATOMIC_RELEASE);
	if (cpu->psci)
		status = cpu_start_psci(index, cpu->mpidr);
	else
		cpu_start_spin_table(index, PA(cpu->release));
	if (status)
		log_line("tree: /cpus/cpu@%lx: reg: expected a core that firmware starts (PSCI "
			 "CPU_ON says %d); it stays off",
			 cpu->mpidr, status);
	return !status;
}

/*
 * One after the other, so that those that are there have numbers without gaps: what the manifest
 * says of cores is about them. False: one that was started is not here, and may still come.
 */
static bool start_cores(void)
{
	u32 found = platform.cpu_count;

	platform.cpu_count = 1;
	for (u32 i = 1; i < found; i++) {
		u32 index = platform.cpu_count;

		if (!start_core(&platform.cpu[i], index, found))
			continue;
		platform.cpu[index] = platform.cpu[i];
		if (!core_came(index)) {
			log_line("tree: /cpus/cpu@%lx: reg: it was started, but did not come "
				 "within %u ms; it and those behind it stay off",
				 platform.cpu[index].mpidr, START_US / 1000);
			return false;
		}
		platform.cpu_count++;
	}
	return true;
}

__attribute__((noreturn)) static void run(void)
{
	watchdog_start_core();
	if (manifest.communication_cores & BIT(cpu_index()))
		sched_communicate();
	arch_enter(&sched_next()->arch);
}

void boot_main(u64 tree_pa)
{
	const void *tree;
	void *power;
	bool usable;
	u32 vms;

	stack_guard_set(cpu_random());
	tree = map_tree(tree_pa);
	if (!tree)
		stop("x0 points at no device tree: boot as Linux is booted (Image and tree)");
	usable = platform_read(tree, cpu_mpidr(), &platform);
	platform_reserve(&platform, (struct range){ tree_pa, passthrough_tree_bytes(tree) });
	cpu_use_psci(platform.psci);
	timer_init(platform.timer_hz);
	if (platform.power.bytes && (power = probe_device("pm", &platform.power)))
		bcm2835_pm_init(power);
	if (!usable)
		start_console(), stop(0);
	probe_banks(&platform);
	find_system_image();
	if (!memory_init(&platform))
		start_console(), stop(0);
	start_console();
	if (!gic_init(&platform.gic) || !init_core())
		stop(0);
	check_system_image();
	if (start_cores()) {
		u64 bytes;
		void *tables = mmu_drop_identity(&bytes);

		heap_give(tables, bytes);
	}
	if (!manifest_read(
		    mmu_map_read_only(PA(platform.system_image.base), platform.system_image.bytes),
		    platform.system_image.bytes, platform.cpu_count, &manifest))
		stop(0);
	disks_find(&platform);
	manifest_check_disks(&manifest);
	passthrough_find(tree, &platform, &manifest);
	vms = vm_create_all(&manifest, &platform.gic);
	if (!vms && !manifest.stay)
		stop("no VM to run: the lines above say why");
	ipc_comm_create(&manifest);
	memory_seal();
	log_line("%u VMs on %u cores, GICv%u, %lu KiB for the hypervisor", vms, platform.cpu_count,
		 platform.gic.version, (mmu_image_bytes() + memory_heap_bytes()) / KIB);
	if (platform.uart.intid)
		console_enable_interrupt(platform.uart.intid);
	/* Nothing that was done so far is bounded as what is done from here on. */
	watchdog_init(manifest.watchdog_ms, platform.cpu_count);
	vm_start_all(manifest.stay);
	__atomic_store_n(&released, true, __ATOMIC_RELEASE);
	run();
}

void core_main(u32 index)
{
	bool fit = init_core();

	while (!fit || !__atomic_compare_exchange_n(&awaited, &(u32){ index }, 0, false,
						    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		cpu_wait(); /* unfit, or too late */
	while (!__atomic_load_n(&released, __ATOMIC_ACQUIRE))
		cpu_relax();
	run();
}
