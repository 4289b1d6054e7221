/*
 * What the list registers of vCPUs that run on other cores say: for a guest that reads whether an interrupt is pending or
 * active, or that has disabled one and relies on it.
 *
 * Only its own core may look into a list register, and no core waits for another. So whoever asks says which interrupts,
 * and gives up its turns: in place of its guest the scheduler has vgic_ask_step(), which kicks those who have them, and
 * takes interrupts between the steps. They note the answer where they take their list registers out, before they fill
 * them again; one that is saved leaves it in the banks. So what is answered was so after the guest had asked. A load gets
 * its value then, and the guest goes on behind it.
 *
 * A vCPU asks about its own VM alone, in its own time and budget, and kicks whom it asks once for each question, unless
 * that one is saved unseen and has it in a list register again. Two that ask each other answer between their steps.
 *
 * Owns: `question` of a vCPU, `questions` of a VM. Locks: vgic.h. Tests: tests/host/test_vgic_ask.c
 */
#include "core/vdev/vgic_internal.h"

#include "arch/arm64/barrier.h"
#include "arch/arm64/exit.h"
#include "arch/arm64/timer.h"
#include "core/sched.h"

u32 vgic_state(const struct vcpu *here, const struct vgic_bank *bank, bool active)
{
	struct virtual_timer timer = timer_virtual_read();
	u32 word = active ? bank->active : vgic_bank_pending(bank);

	/* The timer's line is kept up until its interrupt is ended; it may have fallen before. */
	if (!active && bank == &here->vgic.private && !(timer.enabled && timer.expired))
		word &= bank->latched | ~VGIC_TIMER_BIT;
	/* A private bank: what was raised and not taken there, as of one that was saved in between. */
	if (!active && !bank->summary)
		word |= read_once(container_of(bank, struct vcpu, vgic.private)->vgic.inbox);
	return word;
}

/* What of a bank this vCPU has in list registers. */
static APART u32 held(const struct vcpu *by, const struct vgic_bank *bank)
{
	const struct vgic_spi_bank *spi = (const struct vgic_spi_bank *)bank;

	if (bank == &by->vgic.private)
		return bank->listed;
	return bank->summary ? bank->listed & spi->owned[by->index] : 0;
}

void vgic_ask(struct vcpu *self, const struct vgic_bank *bank, u32 bits, bool active, u32 word)
{
	bits &= bank->listed & ~held(self, bank);
	if (!bits)
		return;
	self->vgic.question = (struct vgic_question){
		.bank = bank,
		.bits = bits,
		.word = word & ~bits,
		.syndrome = (u32)arch_exit_syndrome(),
		.shift = arch_exit_far() % 4 * 8,
		.active = active,
	};
	self->vm->vgic.questions |= 1u << self->index;
	write_once(self->turns, TURNS_ANSWER);
	sched_again();
}

static APART void note(struct vgic_question *question, const struct vcpu *here)
	NEEDS(here->vm->vgic.lock)
{
	u32 seen = question->bits & ~question->bank->listed;

	question->bits ^= seen;
	question->word |= seen & vgic_state(here, question->bank, question->active);
}

void vgic_answer_all(struct vcpu *here)
{
	for (u32 left = here->vm->vgic.questions; left; left &= left - 1)
		note(&here->vm->vcpu[__builtin_ctz(left)]->vgic.question, here);
}

static void end(struct vcpu *self, const struct vgic_question *question) NEEDS(self->vm->vgic.lock)
{
	u32 syndrome = question->syndrome, bytes = ABORT_BYTES(syndrome);
	u64 value = question->word >> question->shift & (~0ul >> (64 - 8 * bytes));

	if (!(syndrome & ABORT_WRITE) && ABORT_REGISTER(syndrome) != 31)
		self->arch.x[ABORT_REGISTER(syndrome)] = mmio_loaded(syndrome, bytes, value);
	self->vm->vgic.questions &= ~(1u << self->index);
	write_once(self->turns, TURNS_GUEST);
}

void vgic_ask_step(struct vcpu *self)
{
	struct vgic_question *question = &self->vgic.question;
	u32 kick = 0;

	spin_lock(&self->vm->vgic.lock);
	note(question, self);
	if (!question->bits)
		end(self, question);
	for (u32 i = 0; question->bits && i < self->vm->vcpu_count; i++) {
		struct vcpu *other = self->vm->vcpu[i];

		if (!other->vgic.recheck && held(other, question->bank) & question->bits) {
			other->vgic.recheck = true;
			kick |= 1u << i;
		}
	}
	vgic_attend(self, kick);
	cpu_relax();
}
