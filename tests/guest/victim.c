/*
 * A VM that minds its own business beside an attacker, for as long as that is at it: a tick of the
 * timer, and with each of them an event to an honest VM and its answer, a hypercall, a piece of its
 * memory, and, if it has one, a sector of its disk. All of it must be as if nobody else were there.
 *
 * bootargs: `place=P` says which victim this is: its channels are workP, and attackPN to attacker N;
 * `attackers=N` is how many there are (1); `bound-ns=N` is how late a tick may be (no bound: time
 * does not count instructions in that run).
 *
 * A keeper ends the lives of its attackers as well, by the right "manage": `life-ms=N` is how long one may be,
 * `run-s=N` after what time all is over; then it stops them. The other victim learns that on channel `over`.
 */
#include "tests/guest/bootargs.h"
#include "tests/guest/tap.h"
#include "tests/guest/victim_words.h"

#include <weir/manage.h>

#define ATTACKERS_MAX  2u
#define WORDS	       (16 * PAGE_SIZE / 8)
#define WORDS_AT_ONCE  64u
#define TICKS_MIN      20u
#define TICKS_PER_READ 16u
#define PERIOD_NS      200000ull

struct attacker {
	weir_handle port;
	uint32_t lives;
	bool greeted; /* it has said HELLO, and nothing else since */
	bool done;
	uint64_t position; /* in the manifest */
	uint64_t born;	   /* the counter, when its life began or it was last restarted */
};

static struct attacker attackers[ATTACKERS_MAX];
static uint32_t attacker_count, restarts;
static weir_handle work;
static bool has_disk;
static uint8_t *sector_buffer;
static uint64_t *memory;

/* Of the timer's handler. */
static uint64_t period, phase, due, latest;
static uint32_t ticks;
static bool measuring; /* every attacker has begun, and not all are done */

/*
 * Where the counter counts instructions QEMU runs the cores in turns, those that have work at a tick in the order of
 * their numbers. So each victim ticks at another time, and none prints while another measures.
 */
static void set_next_tick(void (*tick)(void *arg))
{
	due = (timer_now() / period + 1) * period + phase;
	timer_set(due, tick, NULL);
}

static void tick(void *arg)
{
	uint64_t late = timer_now() - due;

	(void)arg;
	if (measuring && late > latest)
		latest = late;
	ticks++;
	set_next_tick(tick);
}

static bool ticked(void *arg)
{
	return SHARED_READ(ticks) != *(uint32_t *)arg;
}

/* ---- The work -------------------------------------------------------------------------------- */

static uint64_t pattern(uint64_t word)
{
	return word * 0x9e3779b97f4a7c15ull ^ 0x56c1071d;
}

/* A piece of it each time: all of it in 128 ticks. */
static void check_memory(uint32_t round)
{
	uint64_t first = (uint64_t)round * WORDS_AT_ONCE % WORDS, wrong = 0;

	for (uint64_t word = first; word < first + WORDS_AT_ONCE; word++)
		wrong += memory[word] != pattern(word);
	CHECK_IS(wrong, 0);
}

/* The honest VM answers with the same word. */
static void check_peer(uint32_t round)
{
	uint64_t answer = 0, end = timer_now() + timer_ticks(WAIT_NS);

	CHECK_IS(weir_port_publish(work, round), WEIR_OK);
	do {
		CHECK(event_wait(work, end));
		CHECK_IS(weir_port_peer(work, &answer, NULL), WEIR_OK);
	} while (answer != round && timer_now() < end);
	CHECK_IS(answer, round);
}

/* Sector n starts with n (tests/qemu/test_guests.py); this disk begins at 4096. */
static void check_disk(uint32_t round)
{
	uint64_t sector = round / TICKS_PER_READ % 4096;
	struct block_request request = {
		.disk = 0, .operation = WEIR_BLOCK_READ, .sector = sector, .sectors = 1
	};

	request.buffer = sector_buffer;
	CHECK_IS(block_run(&request), WEIR_OK);
	CHECK_IS(*(uint64_t *)sector_buffer, 4096 + sector);
}

static void do_work(uint32_t round)
{
	check_memory(round);
	CHECK_IS(weir_call(WEIR_FN(WEIR_FN_VERSION), 0, 0, 0, 0, 0, 0).value[0], WEIR_ABI_VERSION);
	check_peer(round);
	if (has_disk && round % TICKS_PER_READ == 0)
		check_disk(round);
}

/* ---- The attackers --------------------------------------------------------------------------- */

/* Its word; when it has just started it is told which of its lives that is. */
static void look_at(struct attacker *attacker)
{
	uint64_t word = 0;
	bool open = false;

	CHECK_IS(weir_port_peer(attacker->port, &word, &open), WEIR_OK);
	if (word == WORD_DONE)
		attacker->done = true;
	if (word != WORD_HELLO || !open) {
		attacker->greeted = false;
		return;
	}
	if (!attacker->greeted) {
		attacker->greeted = true;
		attacker->lives++;
		attacker->born = timer_now();
	}
	/* As long as it asks: it may have ended, and come back, between its question and this. */
	weir_port_publish(attacker->port, WORD_LIFE | attacker->lives);
}

/* ---- The keeper ------------------------------------------------------------------------------ */

static uint64_t life_ticks, run_ends; /* 0: no keeper */
static weir_handle over;

/* After its time, or at once when it has turned itself off; then it has longer, to begin at all. */
static void keep_going(struct attacker *attacker)
{
	struct weir_vm_info info = { 0 };
	uint64_t now = timer_now();

	CHECK_IS(weir_vm_info(weir_here(), attacker->position, &info), WEIR_OK);
	if (info.state != WEIR_VM_OFF && (int64_t)(now - attacker->born) <= (int64_t)life_ticks)
		return;
	/* STALE: it has died meanwhile, and is on its way already. */
	if (weir_vm_restart(info.vm) == WEIR_OK)
		restarts++;
	attacker->born = now + 4 * life_ticks;
}

static void end_all(void)
{
	for (uint32_t i = 0; i < attacker_count; i++) {
		struct weir_vm_info info = { 0 };

		attackers[i].done = true;
		do
			CHECK_IS(weir_vm_info(weir_here(), attackers[i].position, &info), WEIR_OK);
		while (weir_vm_stop(info.vm) == WEIR_STALE);
	}
	CHECK_IS(weir_port_publish(over, WORD_DONE), WEIR_OK);
}

static void keep(void)
{
	if (timer_now() >= run_ends)
		end_all();
	for (uint32_t i = 0; i < attacker_count && !attackers[i].done; i++)
		keep_going(&attackers[i]);
}

/* What the keeper says, to the victim that is none. */
static bool is_over(void)
{
	uint64_t word = 0;

	return over && weir_port_peer(over, &word, NULL) == WEIR_OK && word == WORD_DONE;
}

static bool all_done(void)
{
	uint32_t done = 0, begun = 0;

	if (life_ticks)
		keep();
	else if (is_over())
		return true;
	for (uint32_t i = 0; i < attacker_count; i++) {
		look_at(&attackers[i]);
		done += attackers[i].done;
		begun += attackers[i].lives > 0;
	}
	measuring = begun == attacker_count && done != attacker_count;
	return done == attacker_count;
}

/* Where in the manifest the VM of this name is. */
static uint64_t position_of(const char *name)
{
	struct weir_vm_info info;
	enum weir_status status;

	for (uint64_t i = 0;; i++) {
		status = weir_vm_info(weir_here(), i, &info);
		if (status == WEIR_OK && strcmp(info.name, name) == 0)
			return i;
		if (status != WEIR_OK && status != WEIR_CLOSED) {
			CHECK_IS(status, WEIR_OK);
			return 0;
		}
	}
}

static void become_keeper(void)
{
	static char name[] = "attacker0";

	weir_port_find(weir_here(), "over", &over);
	life_ticks = timer_ticks(bootargs_number("life-ms", 0) * 1000000);
	run_ends = timer_now() + timer_ticks(bootargs_number("run-s", 0) * 1000000000);
	for (uint32_t i = 0; life_ticks && i < attacker_count; i++) {
		name[8] = (char)('0' + i);
		attackers[i].position = position_of(name);
		attackers[i].born = timer_now();
	}
}

TEST(everything_it_needs_is_there)
{
	static char attack[] = "attack00", work_name[] = "work0";
	struct weir_block_info info;
	char place = (char)('0' + bootargs_number("place", 0));

	attack[6] = work_name[4] = place;
	attacker_count = (uint32_t)bootargs_number("attackers", 1);
	for (uint32_t i = 0; i < attacker_count; i++) {
		attack[7] = (char)('0' + i);
		CHECK_IS(weir_port_find(weir_here(), attack, &attackers[i].port), WEIR_OK);
	}
	CHECK_IS(weir_port_find(weir_here(), work_name, &work), WEIR_OK);
	become_keeper();
	has_disk = weir_block_info(0, &info) == WEIR_OK;
	sector_buffer = memory_pages(1);
	memory = memory_pages(WORDS * 8 / PAGE_SIZE);
	for (uint64_t word = 0; word < WORDS; word++)
		memory[word] = pattern(word);
}

TEST(its_work_goes_on_unharmed)
{
	uint32_t seen = 0;

	period = timer_ticks(PERIOD_NS);
	phase = period / 2 * bootargs_number("place", 0);
	set_next_tick(tick);
	/* Where cores run at the same time the attackers may be done before this one gets on. */
	while (!all_done() || seen < TICKS_MIN) {
		CHECK(task_wait(ticked, &seen, timer_now() + timer_ticks(WAIT_NS)));
		seen = SHARED_READ(ticks);
		do_work(seen);
	}
	measuring = false;
	task_sleep(3 * PERIOD_NS);
	timer_set(0, NULL, NULL);
}

TEST(its_ticks_are_not_late)
{
	uint64_t bound = bootargs_number("bound-ns", UINT64_MAX);

	printf("# %u ticks, the latest by %lu ns\n", ticks, timer_ns(latest));
	for (uint32_t i = 0; i < attacker_count; i++)
		printf("# attacker %u had %u lives\n", i, attackers[i].lives);
	if (life_ticks)
		printf("# %u times it was restarted\n", restarts);
	CHECK(latest > 0 && timer_ns(latest) <= bound);
}

TESTS = {
	RUN(everything_it_needs_is_there),
	RUN(its_work_goes_on_unharmed),
	RUN(its_ticks_are_not_late),
};
TESTS_MAIN
