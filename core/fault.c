/*
 * Fault reports (fault.h): three lines, of which the last is there if the exception has an address.
 * They are longer than an exit may take, so the exit notes the registers, and the steps of the VM's
 * dying print.
 *
 * Owns: vm->fault; under vm->lock while the VM runs, then vCPU 0's core's.
 */
#include "core/fault.h"

#include "arch/arm64/exit.h"
#include "core/base/log.h"
#include "core/hypercall.h"
#include "core/life.h"
#include "drivers/gic.h"

/* ESR_EL2.EC, DDI 0487 D19.2.37. */
#define EC_INSTRUCTION_ABORT 0x20u
#define EC_DATA_ABORT	     0x24u

/* ISS of an abort; but for S1PTW, FnV and the status only of a data abort. */
#define ISS_ISV		(1u << 24)
#define ISS_FNV		(1u << 10)
#define ISS_CM		(1u << 8)
#define ISS_S1PTW	(1u << 7)
#define ISS_WRITE	(1u << 6)
#define CLASS(syndrome) ((u32)((syndrome) >> 26) & 0x3f)
#define STATUS_EXTERNAL 0x10u
#define ISS_STATUS	0x3fu

#define WORDS_BYTES 32

static const char *exception_name(u32 class)
{
	switch (class) {
	case 0x00:
		return "undefined instruction";
	case 0x0e:
		return "illegal execution state";
	case EC_INSTRUCTION_ABORT:
		return "instruction abort";
	case 0x22:
		return "PC alignment fault";
	case EC_DATA_ABORT:
		return "data abort";
	case 0x26:
		return "SP alignment fault";
	case 0x2f:
		return "SError";
	default:
		return "exception";
	}
}

static bool is_abort(u32 class)
{
	return class == EC_INSTRUCTION_ABORT || class == EC_DATA_ABORT;
}

/* ---- The fault status ------------------------------------------------------------------------ */

/* The first sixteen have a level, in their low two bits. */
static const char *status_name(u32 status)
{
	static const char *const with_level[] = { "address size fault", "translation fault",
						  "access flag fault", "permission fault" };

	if (status < 0x10)
		return with_level[status >> 2];
	switch (status) {
	case 0x10:
		return "external abort";
	case 0x14 ... 0x17:
		return "external abort on a table walk";
	case 0x18:
	case 0x1c ... 0x1f:
		return "memory error";
	case 0x21:
		return "alignment fault";
	case 0x30:
		return "TLB conflict";
	case 0x35:
		return "exclusive or atomic access to what has none";
	default:
		return "unknown status";
	}
}

/* ", write of 4 bytes"; of a data abort. */
static void access_words(u32 iss, char *words)
{
	if (iss & ISS_CM)
		format_text(words, WORDS_BYTES, ", cache maintenance");
	else if (iss & ISS_ISV)
		format_text(words, WORDS_BYTES, ", %s of %u bytes",
			    iss & ISS_WRITE ? "write" : "read", 1u << (iss >> 22 & 3));
	else
		format_text(words, WORDS_BYTES, iss & ISS_WRITE ? ", write" : ", read");
}

/* ---- The address ----------------------------------------------------------------------------- */

/*
 * HPFAR_EL2 holds the address of a stage-2 fault unless it is one of permission (DDI 0487 D19.2.62);
 * then it is known only of a guest without translation. AT S1E1R would tell of the others, but an
 * external abort on its walk of the guest's tables would be EL2's own.
 */
static bool find_ipa(u32 iss, u64 far, ipa_t *ipa)
{
	bool held = (iss & ISS_STATUS) < 0x0c || iss & ISS_S1PTW;

	*ipa = held ? arch_exit_ipa() : IPA(far);
	return held || arch_guest_untranslated();
}

struct region {
	const char *name;
	u64 base, bytes;
};

#define REGIONS 9

/* Everything that a VM has at an address; what it does not have has no bytes. */
static void list_regions(const struct vm *vm, struct region *regions)
{
	u64 private = vm->ram_bytes - vm->pool_bytes;
	bool v3 = gic_version() == 3;

	regions[0] = (struct region){ "the GIC distributor", VM_GICD_BASE, VM_GICD_BYTES };
	regions[1] =
		(struct region){ "the GIC CPU interface", VM_GICC_BASE, v3 ? 0 : VM_GICC_BYTES };
	regions[2] = (struct region){ "the GIC redistributors", VM_GICR_BASE,
				      v3 ? vm->vcpu_count * VM_GICR_STRIDE : 0 };
	regions[3] = (struct region){ "the UART", VM_UART_BASE, VM_UART_BYTES };
	regions[4] = (struct region){ "Weir's shared pages", VM_SHARED_BASE,
				      ipc_shared_bytes(vm->config) };
	regions[5] = (struct region){ "the grant window", VM_WINDOW_BASE, vm->window_bytes };
	regions[6] = (struct region){ "RAM", vm->ram_ipa, private };
	regions[7] = (struct region){ "the shareable pool", vm->ram_ipa + private, vm->pool_bytes };
	regions[8] = (struct region){ "the virtio devices", VM_VIRTIO_BASE, VM_VIRTIO_BYTES };
}

const char *fault_place(const struct vm *vm, u64 base, u64 bytes)
{
	struct region regions[REGIONS];

	list_regions(vm, regions);
	for (u32 i = 0; i < REGIONS; i++)
		if (regions[i].base < base + bytes && base < regions[i].base + regions[i].bytes)
			return regions[i].name;
	return 0;
}

/* Bytes between an address and a region; 0: it is inside. */
static u64 distance(const struct region *region, u64 ipa)
{
	if (ipa < region->base)
		return region->base - ipa;
	return ipa - region->base < region->bytes ? 0 : ipa - (region->base + region->bytes) + 1;
}

static const struct region *nearest(const struct region *regions, u64 ipa)
{
	const struct region *best = &regions[0];

	for (u32 i = 1; i < REGIONS; i++)
		if (regions[i].bytes && distance(&regions[i], ipa) < distance(best, ipa))
			best = &regions[i];
	return best;
}

/* ---- The report ------------------------------------------------------------------------------ */

static bool has_address(const struct fault *fault)
{
	u32 iss = (u32)fault->syndrome;

	/* FnV: the FAR is not valid, and so nothing is known. */
	return is_abort(CLASS(fault->syndrome)) &&
	       !(iss & ISS_FNV && (iss & ISS_STATUS) == STATUS_EXTERNAL);
}

/* A line is formatted in one go: what it costs is by the character. */
static void report_exception(const char *name, const struct fault *fault)
{
	static const char *const levels[] = { ", level 0", ", level 1", ", level 2", ", level 3" };
	u32 class = CLASS(fault->syndrome), iss = fault->syndrome & 0x1ffffff;
	u32 status = iss & ISS_STATUS;
	char access[WORDS_BYTES] = "";

	if (!is_abort(class)) {
		log_line("fault: VM %s vCPU %u: %s PC %016lx PSTATE %08lx ESR %08lx", name,
			 fault->vcpu, exception_name(class), fault->pc, fault->pstate,
			 fault->syndrome);
		return;
	}
	if (class == EC_DATA_ABORT)
		access_words(iss, access);
	log_line("fault: VM %s vCPU %u: %s (%s%s%s%s) PC %016lx PSTATE %08lx ESR %08lx", name,
		 fault->vcpu, exception_name(class), status_name(status),
		 status < 0x10 ? levels[status & 3] : "", access,
		 iss & ISS_S1PTW ? ", on a walk of its tables" : "", fault->pc, fault->pstate,
		 fault->syndrome);
}

static void report_address(const struct vm *vm, const struct fault *fault)
{
	const char *name = vm->config->name;
	u64 ipa = fault->ipa.raw;
	struct region regions[REGIONS];
	const struct region *region;

	if (!fault->ipa_known) {
		log_line("fault: VM %s vCPU %u: FAR %016lx IPA unknown: its own tables say where",
			 name, fault->vcpu, fault->far);
		return;
	}
	list_regions(vm, regions);
	region = nearest(regions, ipa);
	if (!distance(region, ipa))
		log_line("fault: VM %s vCPU %u: FAR %016lx IPA %010lx: 0x%lx bytes into %s", name,
			 fault->vcpu, fault->far, ipa, ipa - region->base, region->name);
	else
		log_line("fault: VM %s vCPU %u: FAR %016lx IPA %010lx: nothing; the nearest is %s, "
			 "0x%lx bytes %s",
			 name, fault->vcpu, fault->far, ipa, region->name, distance(region, ipa),
			 ipa < region->base ? "above" : "below");
}

bool fault_report(struct vm *vm)
{
	struct fault *fault = &vm->fault;

	switch (fault->lines) {
	case 0:
		return false;
	case 3:
		log_line("fault: VM %s vCPU %u: %s", vm->config->name, fault->vcpu, fault->what);
		break;
	case 2:
		report_exception(vm->config->name, fault);
		if (!has_address(fault))
			fault->lines--;
		break;
	default:
		report_address(vm, fault);
		break;
	}
	fault->lines--;
	return true;
}

/*
 * Of several vCPUs that fault at once the first is reported; another that was not is its cause.
 * False: this is another one.
 */
static bool take_down(struct vcpu *self, const char *what)
{
	struct vm *vm = self->vm;
	struct fault *fault = &vm->fault;
	bool first;

	spin_lock(&vm->lock);
	first = vm->state == VM_RUNNING && !fault->lines;
	if (first) {
		fault->what = what;
		fault->vcpu = self->index;
		fault->syndrome = arch_exit_syndrome();
		fault->pc = arch_guest_pc();
		fault->pstate = arch_guest_pstate();
		fault->far = arch_exit_far();
		fault->ipa_known = find_ipa((u32)fault->syndrome, fault->far, &fault->ipa);
		fault->lines = 3;
	}
	spin_unlock(&vm->lock);
	return first;
}

void vm_fault(struct vcpu *self, const char *what)
{
	struct vm *vm = self->vm;

	/* The first vCPU's core ends the VM, when nobody else touches the report. */
	if (!take_down(self, what))
		return;
	/* Then there is no time left in which it could be printed. */
	while (vm->config->on_fault == ON_FAULT_STOP_MACHINE && fault_report(vm))
		;
	vm_stop(vm, VM_END_FAULT);
}
