/*
 * The virtual interrupt controller, v2 and v3, in two games. The first record of an input says which.
 *
 * The model's: well-behaved moves, and what they mean is known (tests/host/vgic_model.c).
 *
 * The wild one: three vCPUs on a core each, any access of any size to any register, lines, timers, ends of
 * what was never begun, switches. Nothing is predicted; what is compared after each move is what must be so
 * in any state: what is in list registers is what the banks say, nothing is in two of them, and what a guest
 * would be signalled is the most urgent that it may have.
 *
 * Sources: core/vdev/vgic.c tests/host/vgic_model.c tests/fuzz/input.c
 * Sources: tests/host/fake/list_regs.c tests/host/fake/sched.c tests/host/fake/timer.c
 * Sources: tests/host/fake/cpu.c tests/host/fake/panic.c
 */
#include <string.h>
#include "fake.h"
#include "input.h"
#include "list_regs.h"
#include "vgic_model.h"
#include "core/vdev/vgic_internal.h"

#define VCPUS	  3u
#define SPIS	  (32u * VGIC_SPI_BANKS)
#define STEPS_MAX 2000u
#define NOTHING	  256u

static struct vm vm;
static struct vcpu vcpus[VCPUS];
static struct {
	u32 version;
	u32 at;		   /* whose core it is */
	bool timer[VCPUS]; /* the line of its virtual timer */
} wild;

void machine_locks(const struct spinlock *lock);
void machine_unlocks(const struct spinlock *lock);

static u32 held;

void machine_locks(const struct spinlock *lock)
{
	(void)lock;
	assert_int_equal(held++, 0); /* it has one lock, and kicks without it */
}

void machine_unlocks(const struct spinlock *lock)
{
	(void)lock;
	assert_int_equal(held--, 1);
}

static void on(u32 n)
{
	wild.at = n;
	fake_cpu_set_index(n);
	fake_sched_set_current(vcpus[n].vgic.loaded ? &vcpus[n] : 0);
	fake_timer_set_virtual((struct virtual_timer){ .enabled = true, .expired = wild.timer[n] });
}

static struct vcpu *here(void)
{
	return &vcpus[wild.at];
}

/* ---- Moves ----------------------------------------------------------------------------------- */

/* Register blocks, and what is behind their ends. */
static u64 some_offset(void)
{
	static const u16 blocks[] = { 0x000, 0x004, 0x008,  0x014,  0x080,  0x100,  0x180,
				      0x200, 0x280, 0x300,  0x380,  0x400,  0x480,  0x800,
				      0x880, 0xc00, 0xcf8,  0xd00,  0xf00,  0xf10,  0xf20,
				      0xf30, 0xfe8, 0x6000, 0x6100, 0x67e0, 0x7fd8, 0xffe8 };
	u32 which = input_byte();

	if (which < 144)
		return blocks[which % ARRAY_SIZE(blocks)] + (input_byte() & 0x3f);
	if (which < 224) /* the words on both sides of the last interrupt that is there */
		return blocks[which % ARRAY_SIZE(blocks)] + (which & 1 ? 0x118 : 0x20) +
		       (input_byte() & 0xf);
	return which < 240 ? input_below(0x1000) : input_below(0x10000);
}

static u64 some_value(void)
{
	u32 kind = input_byte();

	if (kind < 96)
		return BIT(kind & 31);
	if (kind < 160)
		return 0x01010101ul * input_byte();
	return kind < 192 ? UINT32_MAX : input_word();
}

/* Of interrupts that are not there; they read as zero. */
static bool is_beyond(u64 offset)
{
	if (offset < 0x80 || offset >= 0x800)
		return false;
	return offset < 0x400 ? (offset & 0x7f) >= 4 + 4 * VGIC_SPI_BANKS
			      : (offset & 0x3ff) >= 32 + SPIS;
}

static void move_access(void)
{
	struct mmio access = { .offset = some_offset() };
	u32 how = input_byte(), frame = input_byte();
	bool redistributor = wild.version == 3 && frame & 1;

	if (!here()->vgic.loaded)
		return;
	access.bytes = how & 0xc ? 4 : 1u << (how & 3);
	access.write = how & 0x10;
	access.value = access.write ? some_value() : 0;
	if (access.write && access.bytes < 8)
		access.value &= BIT(8 * access.bytes) - 1;
	if (how & 0x60) /* mostly as the instruction would have it */
		access.offset &= ~(u64)(access.bytes - 1);
	if (redistributor) {
		access.offset += (frame >> 1 & 1 ? 0x10000 : 0) + (frame >> 2 & 3) * VM_GICR_STRIDE;
		vgic_mmio_redistributor(here(), &access);
	} else if (vgic_mmio_distributor(here(), &access) && !access.write) {
		assert_true(!is_beyond(access.offset) || !access.value);
	}
	if (!access.write && access.bytes < 8)
		assert_true(access.value < BIT(8 * access.bytes));
}

static void move_sgi(void)
{
	u32 kind = input_byte();
	u64 value = (u64)(input_byte() & 0xf) << 24 | (kind & 7);

	if (kind & 0x40)
		value |= 1ul << 40;
	if (kind & 0x80)
		value |= input_word();
	if (here()->vgic.loaded && wild.version == 3)
		vgic_sgi1r(here(), value);
}

static struct vcpu *raised; /* by this move, with that interrupt */
static u32 raised_intid;

static void move_pend(void)
{
	raised = &vcpus[input_below(VCPUS)];
	raised_intid = 18 + input_below(3);
	vgic_pend(raised, raised_intid);
}

static void move_line(void)
{
	u32 byte = input_byte();

	vgic_set_line(&vm, 32 + (byte < 128 ? byte & 7 : input_below(SPIS)), byte >> 3 & 1);
}

static void move_timer(void)
{
	struct vcpu *self = here();

	wild.timer[wild.at] = input_byte() & 1;
	on(wild.at);
	if (!self->vgic.loaded && wild.timer[wild.at])
		vgic_timer_fired(self);
}

static void move_acknowledge(void)
{
	if (here()->vgic.loaded)
		fake_acknowledge();
}

/* Of what it has, mostly; or of anything. */
static void move_end(void)
{
	const struct vgic_vcpu *v = &here()->vgic;
	u32 byte = input_byte(), intid = vgic_listed(v, byte & 3);

	if (!v->loaded)
		return;
	if (byte >= 192)
		intid = byte < 224 ? byte & 31 : 32 + (byte & 31);
	if ((byte & 0x30) != 0x10)
		fake_drop();
	if ((byte & 0x30) != 0x20)
		fake_deactivate(intid);
}

/* ICC_DIR_EL1, or anything on the page of GICC_DIR; whatever EOImode it has. */
static void move_deactivate(void)
{
	u32 word = input_word();
	struct mmio access = { word >> 24 & 0xc, 4, word >> 31, word & 0x7ff };

	if (!here()->vgic.loaded)
		return;
	if (wild.version == 2)
		assert_true(vgic_mmio_deactivate(here(), &access));
	else
		vgic_deactivate(here(), word & (word >> 30 & 1 ? 0xffffff : 0x1ff));
}

static void move_interface(void)
{
	u32 byte = input_byte();

	if (here()->vgic.loaded)
		fake_interface_set(byte & 4 ? 0xff : (u8)(input_byte() & 0xf8), !(byte & 0x18),
				   !(byte & 3));
	if (here()->vgic.loaded)
		fake_two_steps(byte & 0x40);
}

static void switch_to(bool loaded)
{
	if (here()->vgic.loaded == loaded)
		return;
	if (loaded)
		vgic_load(here());
	else
		vgic_save(here());
	on(wild.at);
}

static void move_switch(void)
{
	switch_to(!here()->vgic.loaded);
}

/* PSCI: off and on again; or the whole VM begins anew. */
static void move_reset(void)
{
	u32 byte = input_byte(), core = wild.at;

	if (byte & 7) {
		switch_to(false);
		vgic_vcpu_reset(here());
		return;
	}
	for (u32 i = 0; i < VCPUS; i++) {
		on(i);
		switch_to(false);
	}
	on(core);
	vgic_init(&vm);
}

static void move_wait(void)
{
	bool pending = vgic_pending(here());

	if (!here()->vgic.loaded)
		return;
	vgic_settle(here()); /* it runs on */
	assert_int_equal(pending, fake_next() != FAKE_SPURIOUS);
}

static void (*const moves[])(void) = {
	move_access, move_access, move_access, move_access, move_access,      move_access,
	move_access, move_access, move_sgi,    move_pend,   move_line,	      move_line,
	move_timer,  move_end,	  move_end,    move_end,    move_acknowledge, move_acknowledge,
	move_wait,   move_switch, move_switch, move_reset,  move_interface,   move_deactivate,
};

/* ---- What must be so ------------------------------------------------------------------------- */

/* Interrupts that EL2 takes on this core before the guest goes on. */
static void settle_core(u32 n, bool kicked)
{
	on(n);
	if (!vcpus[n].vgic.loaded)
		return;
	if (kicked)
		vgic_sync(&vcpus[n]);
	for (u32 i = 0; i < 8; i++) {
		if (wild.timer[n] && !fake_timer_active()) {
			fake_timer_activate();
			vgic_timer_fired(&vcpus[n]);
		}
		if (!fake_maintenance())
			return;
		vgic_sync(&vcpus[n]);
	}
	fail_msg("the maintenance interrupt does not end");
}

/* A sync may kick others: until nobody is kicked any more. */
static void settle(void)
{
	u32 kicked;

	for (u32 rounds = 0; rounds < 16; rounds++) {
		kicked = 0;
		for (u32 i = 0; i < VCPUS; i++)
			kicked |= (fake_sched_count(FAKE_KICK, &vcpus[i]) != 0) << i;
		fake_sched_reset();
		for (u32 i = 0; i < VCPUS; i++)
			settle_core(i, kicked >> i & 1);
		if (!fake_sched_count(FAKE_KICK, 0))
			return;
	}
	fail_msg("vCPUs kick each other for ever");
}

static const struct vgic_bank *bank_of(const struct vcpu *vcpu, u32 intid)
{
	return intid < 32 ? &vcpu->vgic.private : &vm.vgic.spi[intid / 32 - 1].bank;
}

static u32 priority_of(const struct vgic_bank *bank, u32 n)
{
	u32 priority = 0;

	for (u32 rank = 0; rank < VGIC_RANKS; rank++)
		priority |= (bank->rank[rank] >> n & 1) << (VGIC_PRIORITY_SHIFT + rank);
	assert_int_equal(bank->priority[n] & VGIC_PRIORITY_MASK, priority);
	return priority;
}

/* What EL2 has raised is pending, wherever. The guest has not run since. */
static void check_raised(void)
{
	const struct vgic_vcpu *v = &raised->vgic;
	bool pending = (v->inbox | v->private.latched) >> raised_intid & 1;

	on(raised->core);
	for (u32 i = 0; i < LIST_REGS_KEPT; i++)
		if (v->used >> i & 1 && vgic_listed(v, i) == raised_intid)
			pending |= (list_reg_read(i) & LIST_REG_PENDING) != 0;
	assert_true(pending);
}

/* The list registers of the core, and what the bank says of them. The other way: check_listed(). */
static void check_lists(struct vcpu *vcpu, u32 listed[VGIC_SPI_BANKS + 1])
{
	const struct vgic_vcpu *v = &vcpu->vgic;

	listed[0] = 0;
	for (u32 i = 0; i < LIST_REGS_KEPT; i++) {
		u64 reg = list_reg_read(i);
		u32 intid = vgic_listed(v, i), bank = intid / 32, bit = 1u << intid % 32;

		if (!(v->used >> i & 1)) {
			assert_int_equal(reg >> 62, 0);
			continue;
		}
		assert_true(!(reg >> 62) || (reg & 0x3ff) == intid);
		assert_true(bank_of(vcpu, intid)->listed & bit);
		assert_false(listed[bank] & bit);
		listed[bank] |= bit;
	}
	assert_int_equal(v->private.listed, listed[0]);
}

/* What may be signalled to this guest and is in no list register is less urgent than what is. */
static void check_best(const struct vcpu *vcpu)
{
	struct list_regs_interface guest = list_regs_interface(0);
	u32 best = min((u32)guest.mask, guest.running), next = fake_next(), offered = NOTHING;

	for (u32 i = 0; i < LIST_REGS_KEPT && next != FAKE_SPURIOUS; i++)
		if (vcpu->vgic.used >> i & 1 && vgic_listed(&vcpu->vgic, i) == (next & 0x3ff))
			offered = list_reg_read(i) >> 48 & 0xf8;
	best = min(best, offered);
	for (u32 b = 0; b <= VGIC_SPI_BANKS; b++) {
		const struct vgic_bank *bank = bank_of(vcpu, 32 * b);
		u32 bits = vgic_bank_deliverable(&vm.vgic, bank);

		if (b)
			bits &= vgic_spi_home(&vm.vgic.spi[b - 1], vcpu->index);
		for (; bits; bits &= bits - 1) {
			u32 n = (u32)__builtin_ctz(bits);

			if (bank->group1 >> n & 1 ? guest.group1 : guest.group0)
				assert_true(priority_of(bank, n) >= best);
		}
	}
}

static void check(void)
{
	u32 listed[VGIC_SPI_BANKS + 1] = { 0 };

	for (u32 i = 0; i < VCPUS; i++) {
		on(i);
		if (vcpus[i].vgic.loaded) {
			fake_next(); /* the guest is entered */
			check_lists(&vcpus[i], listed);
			check_best(&vcpus[i]);
			assert_false(fake_maintenance()); /* it would come again and again */
		} else {
			assert_int_equal(vcpus[i].vgic.private.listed, 0);
			assert_int_equal(vcpus[i].vgic.used, 0);
		}
	}
	for (u32 b = 0; b < VGIC_SPI_BANKS; b++)
		assert_int_equal(vm.vgic.spi[b].bank.listed, listed[b + 1]);
}

/* ---- The games ------------------------------------------------------------------------------- */

static void begin(u32 version)
{
	fake_sched_reset();
	fake_list_regs_reset(version);
	memset(&vm, 0, sizeof(vm));
	memset(vcpus, 0, sizeof(vcpus));
	memset(&wild, 0, sizeof(wild));
	wild.version = version;
	vm.vcpu_count = VCPUS;
	for (u32 i = 0; i < VCPUS; i++) {
		vm.vcpu[i] = &vcpus[i];
		vcpus[i].vm = &vm;
		vcpus[i].index = vcpus[i].core = i;
	}
	vgic_init(&vm);
	for (u32 i = VCPUS; i-- > 0;) {
		on(i);
		vgic_load(&vcpus[i]);
		/* What the core remembers of an earlier input and what is so become the same. */
		if (!fake_timer_active())
			fake_timer_activate();
		vgic_timer_fired(&vcpus[i]);
		vgic_sync(&vcpus[i]);
		vgic_save(&vcpus[i]);
		vcpus[i].vgic.private.line = 0;
		on(i);
		vgic_load(&vcpus[i]);
		fake_interface_set(0xff, true, true);
	}
	on(0);
	vgic_mmio_distributor(&vcpus[0], &(struct mmio){ 0, 4, true, 3 });
	fake_sched_reset();
}

static void write_word(u64 offset, u32 value)
{
	struct mmio access = { offset, 4, true, value };

	assert_true(vgic_mmio_distributor(&vcpus[0], &access));
}

/* The SPIs that have lines more often than others, as a kernel has them: enabled and routed. */
static void set_up(void)
{
	write_word(0x104, 0xff);
	for (u32 intid = 32; intid < 40; intid++)
		if (wild.version == 3)
			write_word(0x6000 + 8 * intid, intid % VCPUS);
		else if (intid % 4 == 0)
			write_word(0x800 + intid, 0x01040201);
	settle();
}

static void play_wildly(u32 version, bool prepared)
{
	begin(version);
	if (prepared)
		set_up();
	for (u32 i = 0; i < STEPS_MAX && input_next(); i++) {
		u32 which = input_below(ARRAY_SIZE(moves));

		on(input_below(VCPUS));
		raised = 0;
		moves[which]();
		assert_int_equal(held, 0);
		settle();
		if (raised)
			check_raised();
		check();
	}
	for (u32 i = 0; i < VCPUS; i++) { /* the fakes are the model's from here on */
		on(i);
		switch_to(false);
	}
}

static u64 random_state;

/* What the interrupts are like at first. */
static u32 random_dice(u32 sides)
{
	random_state = random_state * 6364136223846793005ul + 1442695040888963407ul;
	return (u32)(random_state >> 33) % sides;
}

static bool chosen;

static u32 dice(u32 sides)
{
	return chosen ? input_below(sides) : random_dice(sides);
}

static void play_model(u32 version, bool two_steps)
{
	random_state = input_byte();
	chosen = false;
	vgic_model_begin(version, two_steps, dice);
	chosen = true;
	for (u32 i = 0; i < STEPS_MAX && input_next(); i++)
		vgic_model_step();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes);

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	u32 game;

	held = 0;
	input_set(data, bytes);
	input_next();
	game = input_byte();
	if (game & 2)
		play_wildly(2 + (game & 1), game & 4);
	else
		play_model(2 + (game & 1), game & 4);
	return 0;
}
