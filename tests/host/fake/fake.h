/*
 * The machine under the portable code in host tests: each tests/host/fake/NAME.c defines the
 * functions of one header, and what is here lets a test set what they answer and see what they were
 * asked.
 *
 * A program takes the ones it needs by its `Sources:` line. Where a test needs a clean state, it
 * calls the fake's _reset().
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "arch/arm64/stage2.h"
#include "arch/arm64/timer.h"
#include "core/base/types.h"

struct vm;
struct vcpu;

/*
 * A test: its name is the promise it keeps. TEST(x) { ... }, then RUN(x) in the table of main(), or
 * RUN_AFTER(prepare, x) with an int prepare(void **) that sets the fakes back.
 */
#define TEST(name)		 static void name(void **state __attribute__((unused)))
#define RUN(name)		 cmocka_unit_test(name)
#define RUN_AFTER(prepare, name) cmocka_unit_test_setup(name, prepare)

/*
 * heap.c: core/memory.h with cache_scrub ("scrub" to fake_note, where there is one), mmu_heap_pa and
 * mmu_window. A physical address is the host's pointer.
 */
void fake_heap_reset(void); /* frees everything that was handed out */
u64 fake_heap_allocations(void);
void fake_heap_each(void (*fn)(void *memory, u64 bytes, void *arg), void *arg); /* the last first */
u64 fake_heap_cost(void); /* of all of them, as heap_cost() */

/* windows.c: memory of guests, all zero, that mmu_window() shows a page of, with nothing behind it. Always so much. */
u8 *fake_windows_memory(u64 bytes);

/* log.c: catches lines; needs core/base/log.c. */
void fake_log_reset(void);
u32 fake_log_count(void);
const char *fake_log_text(u32 index); /* without "weir: "; "" out of range */
bool fake_log_has(const char *part);  /* some line contains it */

/*
 * panic.c: a panic fails the test, unless it is expected: expect_assert_failure(call()) of cmocka.
 * Nothing to declare.
 */

/* stage2.c: a page is one entry; what is mapped with `blocks` in whole 2 MiB has no tables. */
void fake_stage2_reset(void);
enum stage2_kind fake_stage2_kind(const struct stage2 *tables, u64 ipa);
u64 fake_stage2_pa(const struct stage2 *tables, u64 ipa); /* 0 if nothing is mapped */
u32 fake_stage2_pages(const struct stage2 *tables);	  /* mapped ones */
u32 fake_stage2_changes(void);				  /* pages given to stage2_set_pages */

/* gic_pend.c: drivers/gic.h. Was it raised since it was last asked for? */
bool fake_gic_take(u32 intid);

/* sched.c: core/sched.h. Set the current vCPU; the last calls are kept. */
enum fake_sched_call { FAKE_WAKE, FAKE_KICK, FAKE_START, FAKE_STOP };
void fake_sched_reset(void);
bool fake_sched_again(void); /* sched_again() was called on this core since the last time */
void fake_sched_set_current(struct vcpu *vcpu);
u32 fake_sched_count(enum fake_sched_call call, const struct vcpu *vcpu); /* vcpu 0: any */

/* vgic_pend.c: vgic_pend and vgic_set_line, for tests of those who raise interrupts. */
void fake_pend_reset(void);
u32 fake_pend_count(const struct vcpu *vcpu, u32 intid); /* vcpu 0: any */
bool fake_line(u32 intid);				 /* as vgic_set_line left it, any VM */

/* timer.c: arch/arm64/timer.h, one tick a nanosecond. */
void fake_timer_set(u64 now);
u64 fake_timer_el2_deadline(void); /* UINT64_MAX: off */
void fake_timer_set_virtual(struct virtual_timer timer);

/* cache.c: arch/arm64/cache.h; the calls in their order. */
enum fake_cache_call { FAKE_CLEAN_INVALIDATE, FAKE_ZERO, FAKE_INVALIDATE_INSTRUCTIONS };
struct fake_cache_operation {
	enum fake_cache_call call;
	const void *start;
	u64 bytes;
};
void fake_cache_reset(void);
u32 fake_cache_count(void);
struct fake_cache_operation fake_cache_get(u32 index);

/*
 * record.c: what a core did to memory, in the order in which it did it. fake/arch/arm64/sysreg.h and
 * barrier.h record each instruction by its name there ("dc civac", "dsb sy", "tlbi vae2"); other
 * fakes add what others see: "mmio", "smc".
 *
 * Memory that is watched exists twice: as the core sees it, which is the host's, and as who is past the
 * caches sees it. What the core writes gets there with a clean of its line; what a device writes is seen
 * by the core after the line was forgotten.
 */
#define FAKE_LINE     64u
#define FAKE_IMAGE_PA 0x200000ul /* where PAR_EL1 says that Weir is */
void fake_note(const char *what, u64 address) __attribute__((weak));
void fake_record_reset(void);
u32 fake_record_count(void);
u32 fake_record_times(const char *what); /* how often */
/* Where it stands first at or behind `from`; fails the test if it does not. */
u32 fake_record_find(u32 from, const char *what);
u64 fake_record_address(u32 index);
void fake_memory_watch(void *memory, u64 bytes);    /* whole lines; both are the same at first */
const void *fake_memory_beyond(const void *memory); /* the same place, past the caches */
void fake_memory_device_writes(void *memory, const void *data, u64 bytes);
/* An observer past the caches begins: fails the test if maintenance is under way without a DSB. */
void fake_observer(const char *what);

/*
 * lock.c: the locks of a program of one thread. It fails the test where a core would wait for itself, and where
 * locks were taken in two orders that two cores could hang in. `other` is called once, where for the (gap + 1)th
 * time a lock is about to be taken and none is held: what another core does just then. Not linked with
 * programs of several threads.
 */
void fake_lock_reset(void);
u32 fake_locks_held(void);
u32 fake_locks_taken(void); /* since it was asked last */
void fake_lock_between(u32 gap, void (*other)(void *context), void *context);
bool fake_lock_happened(void); /* and else it does not happen any more */
/* `one` on a machine as `make` makes it, with `other` in its first gap, its second..., and once without. */
u32 fake_lock_each_gap(void (*make)(void), void (*one)(void), void (*other)(void *),
		       void (*check)(void)); /* the number of gaps */

/* order.c: `other` is called once, before or behind the next statement of that label (weir/order.h). */
void fake_order_at(const char *label, bool done, void (*other)(void *context), void *context);
bool fake_order_happened(void);

/*
 * shared_page.c: who looks at a page, or writes it: after each access the word is another. False: this machine
 * cannot tell. Until it is released the page is not the test's.
 */
struct fake_page_accesses {
	u32 all, most_reads /* of one place */, writes;
};
bool fake_page_watch(void *page);
struct fake_page_accesses fake_page_release(void);

/* exit.c: arch/arm64/exit.h, which is fake/arch/arm64/exit.h here: what the guest left with. */
struct fake_exit {
	u64 syndrome, far, pc, pstate;
	ipa_t ipa;
};
extern struct fake_exit fake_exit;

/* cpu.c: arch/arm64/cpu.h. */
void fake_cpu_set_index(u32 index);
u32 fake_cpu_power_offs(void);

/*
 * tree.c: device trees made from tests/host/trees/NAME.dts. A tree can be changed by libfdt's
 * writing functions; tree_exact() gives it back in a piece of memory of exactly its size, so that
 * ASan sees who reads beyond. The last loaded and the last exact tree live until the next call or
 * tree_free().
 */
void *tree_load(const char *name);
void *tree_exact(const void *tree, u64 *bytes);
int tree_node(const void *tree, const char *path); /* fails the test if there is none */
void tree_set(void *tree, const char *path, const char *property, const void *value, int bytes);
void tree_free(void);
