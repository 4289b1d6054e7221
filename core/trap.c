/*
 * Exits from guests: the dispatch by cause. Called from arch/arm64/entry.S with interrupts masked;
 * each returns the vCPU to enter, or 0 for the same one, which it is unless the scheduler has something
 * to decide.
 */
#include "arch/arm64/exit.h"
#include <weir/abi.h>
#include "core/base/panic.h"
#include "core/fault.h"
#include "core/hypercall.h"
#include "core/irq.h"
#include "core/sched.h"
#include "core/vdev/virtio.h"
#include "core/vdev/vpsci.h"
#include "core/vdev/vsysreg.h"
#include "drivers/gic.h"

/* ESR_EL2.EC, DDI 0487 D19.2.37. */
enum {
	EC_WFX = 0x01,
	EC_FP = 0x07,
	EC_KEYS = 0x09,
	EC_HVC = 0x16,
	EC_SMC = 0x17,
	EC_SYSREG = 0x18,
	EC_INSTRUCTION_ABORT = 0x20,
	EC_DATA_ABORT = 0x24,
};

/* Of function - WEIR_FN(0). 0: SMCCC owner 6, either width, the vendor's hypervisor calls (DEN 0028, 5). */
#define OWNER(number) ((u32)(number) >> 24 & 0x3f)

static struct arch_vcpu *leave(struct vcpu *self)
{
	if (read_once(*self->sched_needed))
		return &sched_next()->arch;
	return 0;
}

static struct vcpu *vcpu_of(struct arch_vcpu *arch)
{
	return container_of(arch, struct vcpu, arch);
}

/* ---- Emulated registers ---------------------------------------------------------------------- */

/* Instructions hold the number of a page, not an address; an offset is the rest of one. */
#define PAGES_BEHIND(base, page) ((page) - ((base) >> PAGE_SHIFT))
#define PAGES(bytes)		 ((bytes) >> PAGE_SHIFT)

_Static_assert(VM_GICD_BASE % VM_GICD_BYTES == 0 && VM_UART_BASE % VM_UART_BYTES == 0 &&
		       VM_VIRTIO_BASE % VM_VIRTIO_BYTES == 0 &&
		       VM_GICC_DIR % VM_GICC_DIR_BYTES == 0,
	       "an offset is the rest of an address");

/* False: no register there, or none that answers such an access. */
static bool access_register(struct vcpu *self, u64 ipa, struct mmio *access)
{
	u64 page = ipa >> PAGE_SHIFT;

	if (PAGES_BEHIND(VM_GICD_BASE, page) < PAGES(VM_GICD_BYTES)) {
		access->offset = ipa % VM_GICD_BYTES;
		return vgic_mmio_distributor(self, access);
	}
	if (PAGES_BEHIND(VM_UART_BASE, page) < PAGES(VM_UART_BYTES)) {
		access->offset = ipa % VM_UART_BYTES;
		return vuart_mmio(self, access);
	}
	if (PAGES_BEHIND(VM_GICR_BASE, page) < self->vm->vcpu_count * PAGES(VM_GICR_STRIDE) &&
	    gic_version() == 3) {
		access->offset = ipa - VM_GICR_BASE;
		return vgic_mmio_redistributor(self, access);
	}
	if (PAGES_BEHIND(VM_VIRTIO_BASE, page) < PAGES(VM_VIRTIO_BYTES)) {
		access->offset = ipa % VM_VIRTIO_BYTES;
		virtio_mmio(self, access);
		return true;
	}
	if (PAGES_BEHIND(VM_GICC_DIR, page) < PAGES(VM_GICC_DIR_BYTES) && gic_version() == 2) {
		access->offset = ipa % VM_GICC_DIR_BYTES;
		return vgic_mmio_deactivate(self, access);
	}
	access->value = 0; /* of the flash: nothing is in it, and it takes nothing */
	return ipa < VM_FLASH_BYTES;
}

static bool emulate(struct vcpu *self, u32 syndrome)
{
	struct mmio *access = &self->mmio;
	u64 ipa = arch_exit_ipa().raw;
	u32 rt = ABORT_REGISTER(syndrome), bytes = ABORT_BYTES(syndrome);

	if (!(syndrome & ABORT_ISV) || ipa & (bytes - 1))
		return false;
	access->bytes = bytes;
	access->write = syndrome & ABORT_WRITE;
	if (access->write)
		access->value = rt == 31 ? 0 : self->arch.x[rt] & (~0ul >> (64 - 8 * bytes));
	if (!access_register(self, ipa, access))
		return false;
	/* Hidden, or each part of it were kept in a register of its own, which every exit would save. */
	__asm__("" : "+r"(syndrome));
	rt = ABORT_REGISTER(syndrome);
	if (!(syndrome & ABORT_WRITE) && rt != 31)
		self->arch.x[rt] = mmio_loaded(syndrome, ABORT_BYTES(syndrome), access->value);
	arch_guest_skip();
	return true;
}

/* ---- Aborts ---------------------------------------------------------------------------------- */

/*
 * Translation faults, levels 0 to 3: nothing is mapped there. Only for these is HPFAR_EL2 sure to
 * hold the address; after a permission fault it may be an older fault's. DDI 0487 D19.2.62.
 */
static bool is_unmapped(u32 syndrome)
{
	return (syndrome & 0x3c) == 0x04;
}

static void data_abort(struct vcpu *self, u32 syndrome)
{
	if (is_unmapped(syndrome)) {
		if (!(syndrome & ABORT_S1PTW) && emulate(self, syndrome)) {
			account_exit(&self->account, ACCOUNT_MMIO);
			return;
		}
		/* Another core has just ended the grant: the access is tried again. */
		if (ipc_window_shows(self->vm, arch_exit_ipa())) {
			account_exit(&self->account, ACCOUNT_OTHER);
			return;
		}
	}
	account_exit(&self->account, ACCOUNT_ABORT);
	arch_inject_abort(false, arch_exit_far());
}

static void instruction_abort(struct vcpu *self)
{
	u64 before = arch_guest_pc();

	arch_inject_abort(true, arch_exit_far());
	/* Its own vectors cannot be fetched: it would abort for ever. */
	if (arch_guest_pc() == before) {
		arch_guest_set_pc(before);
		vm_fault(self, "its exception vectors are not executable memory");
	}
}

/* ---- Entries from entry.S -------------------------------------------------------------------- */

_Static_assert(WEIR_FN_EVENT_SEND == 9, "entry.S knows it as CALL_SEND");

VECTOR struct arch_vcpu *trap_hvc(struct arch_vcpu *arch, u64 number)
{
	struct vcpu *self = vcpu_of(arch);

	/* The numbers first, for hypercall() asks for them, too. */
	if (number >= WEIR_FN_COUNT && OWNER(number)) {
		account_exit(&self->account, ACCOUNT_PSCI);
		vpsci_call(self);
		return leave(self);
	}
	account_exit(&self->account, ACCOUNT_HYPERCALL);
	hypercall(self, number);
	return leave(self);
}

VECTOR RARE struct arch_vcpu *trap_sent(struct arch_vcpu *arch, enum trap_send how)
{
	struct vcpu *self = vcpu_of(arch);

	if (how == SEND_CALL)
		return trap_hvc(arch, WEIR_FN_EVENT_SEND);
	arch->x[0] = WEIR_OK;
	arch->x[1] = 0;
	vgic_posted(self, self->told);
	return leave(self);
}

struct arch_vcpu *trap_sync(struct arch_vcpu *arch)
{
	struct vcpu *self = vcpu_of(arch);
	struct account *account = &self->account;
	u64 syndrome = arch_exit_syndrome();
	u32 class = syndrome >> 26 & 0x3f;
	enum vsysreg result;

	if (class == EC_DATA_ABORT) { /* by far the most frequent */
		data_abort(self, (u32)syndrome);
		return leave(self);
	}
	if (class == EC_WFX) { /* and this comes next */
		account_exit(account, ACCOUNT_WAIT);
		arch_guest_skip();
		if (!(syndrome & 1))
			sched_block();
		return leave(self);
	}
	switch (class) {
	case EC_FP:
		account_exit(account, ACCOUNT_FP);
		arch_vcpu_take_fp(arch);
		break;
	case EC_SYSREG:
		account_exit(account, ACCOUNT_SYSREG);
		result = vsysreg_access(self, syndrome);
		if (result == VSYSREG_DONE)
			arch_guest_skip();
		else if (result == VSYSREG_NONE)
			arch_inject_undefined();
		break;
	case EC_KEYS: /* and the instruction is executed again */
		account_exit(account, ACCOUNT_SYSREG);
		arch_vcpu_take_keys(arch);
		break;
	case EC_SMC:
		account_exit(account, ACCOUNT_PSCI);
		/* The trapped instruction has not executed. */
		arch_guest_skip();
		vpsci_call(self);
		break;
	case EC_HVC:
		account_exit(account, ACCOUNT_OTHER);
		arch->x[0] = ~0ul; /* another immediate than 0: SMCCC NOT_SUPPORTED */
		break;
	case EC_INSTRUCTION_ABORT:
		account_exit(account, ACCOUNT_ABORT);
		instruction_abort(self);
		break;
	default:
		account_exit(account, ACCOUNT_OTHER);
		arch_inject_undefined();
		break;
	}
	return leave(self);
}

VECTOR struct arch_vcpu *trap_irq(struct arch_vcpu *arch)
{
	struct vcpu *self = vcpu_of(arch);

	account_exit(&self->account, ACCOUNT_INTERRUPT);
	irq_handle(self);
	return leave(self);
}

VECTOR struct arch_vcpu *trap_serror(struct arch_vcpu *arch)
{
	struct vcpu *self = vcpu_of(arch);

	account_exit(&self->account, ACCOUNT_OTHER);
	vm_fault(self, FAULT_SERROR);
	return leave(self);
}

void trap_el2(u64 vector, u64 esr, u64 elr, u64 far)
{
	panic("exception at EL2: vector %lu ESR %08lx PC %lx FAR %lx", vector, esr, elr, far);
}
