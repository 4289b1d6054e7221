/* A slot with an SD card, the driver that serves it, and what a test asks of it (sd_slot.h). */
#include <string.h>
#include "sd_slot.h"
#include "core/base/list.h"
#include "core/memory.h"

#define INTID	      158u
#define MOST_ACCESSES 160u /* in one step: a block's words and some */

struct fake_sd hw;
u8 medium[SECTORS * SECTOR];
u64 now_us, deadline_us, card_us, worked_ticks;
struct block_device *device;
u8 *memory;
struct sdhci_place place;
struct test_request requests[REQUESTS];

static bool raised, in_submit;

/* ---- What lies around the driver ------------------------------------------------------------- */

static void raise_interrupt(u32 intid)
{
	assert_int_equal(intid, INTID);
	raised = true;
}

static void set_timer(void *context, u32 microseconds)
{
	assert_ptr_equal(context, &hw);
	deadline_us = microseconds ? now_us + microseconds : 0;
}

static void count_work(u64 ticks)
{
	worked_ticks += ticks;
}

bool held_up;

bool step(void)
{
	u64 before = hw.accesses;

	if ((raised || fake_sd_line(&hw)) && !(held_up && deadline_us)) {
		raised = false;
		device->ops->interrupt(device);
	} else if (hw.coming_count && (!deadline_us || now_us + card_us < deadline_us)) {
		now_us += card_us;
		fake_sd_step(&hw);
	} else if (deadline_us) {
		now_us = deadline_us;
		deadline_us = 0;
		sdhci_timer(device);
	} else {
		return false;
	}
	assert_true(hw.accesses - before <= MOST_ACCESSES);
	return true;
}

void run(void)
{
	for (u32 steps = 0; step(); steps++)
		assert_true(steps < 20000);
}

/* ---- Requests -------------------------------------------------------------------------------- */

enum weir_status submit(struct test_request *request)
{
	enum weir_status status;

	in_submit = true;
	status = device->ops->submit(device, &request->request);
	in_submit = false;
	return status;
}

static void done(struct block_request *request, enum weir_status status)
{
	struct test_request *over = container_of(request, struct test_request, request);

	assert_false(in_submit);
	assert_false(hw.dma_active); /* the memory is its owner's again */
	over->ends++;
	over->status = status;
	if (over->next)
		assert_int_equal(submit(over->next), WEIR_OK);
}

struct test_request *request(u32 index, enum block_operation operation, u64 sector, u32 sectors)
{
	struct test_request *made = &requests[index];

	*made = (struct test_request){
		.request = {
			.operation = operation,
			.sector = sector,
			.segment_count = 1,
			.segment = &made->request.own,
			.own = { PA((u64)memory), sectors * SECTOR, 0 },
			.done = done,
		},
	};
	return made;
}

void check_ended(const struct test_request *ended, enum weir_status status)
{
	assert_int_equal(ended->ends, 1);
	assert_int_equal(ended->status, status);
}

void begin(struct test_request *begun)
{
	assert_int_equal(submit(begun), WEIR_OK);
}

void check_runs(struct test_request *begun, enum weir_status status)
{
	begin(begun);
	run();
	check_ended(begun, status);
}

void check_card_works(void)
{
	struct test_request *write = request(6, BLOCK_WRITE, 77, 1);
	struct test_request *read = request(7, BLOCK_READ, 77, 1);

	memset(memory, (int)(now_us & 0x7f) + 1, SECTOR);
	check_runs(write, WEIR_OK);
	assert_memory_equal(memory, medium + (u64)77 * SECTOR, SECTOR);
	memset(memory, 0, SECTOR);
	check_runs(read, WEIR_OK);
	assert_memory_equal(memory, medium + (u64)77 * SECTOR, SECTOR);
}

/* ---- Beginning ------------------------------------------------------------------------------- */

int prepare(void **state)
{
	(void)state;
	fake_heap_reset();
	fake_log_reset();
	fake_cache_reset();
	for (u64 i = 0; i < sizeof(medium); i++)
		medium[i] = (u8)(i * 7 + i / SECTOR);
	now_us = 1000;
	deadline_us = 0;
	card_us = 120;
	raised = held_up = false;
	worked_ticks = 0;
	fake_sd_init(&hw, medium, SECTORS, &now_us);
	memory = heap_alloc(4 * PAGE_SIZE);
	place = (struct sdhci_place){
		.registers = &hw,
		.intid = INTID,
		.name = "mmc@1",
		.removable = true,
		.alloc = heap_alloc,
		.raise = raise_interrupt,
		.set_timer = set_timer,
		.context = &hw,
		.worked = count_work,
	};
	return 0;
}

void probe(void)
{
	device = sdhci_probe(&place);
	assert_false(sdhci_settled(device));
	run();
	assert_true(sdhci_settled(device));
}

void probe_good(void)
{
	probe();
	assert_int_equal(device->sectors, hw.sectors);
	assert_int_equal(fake_log_count(), 0);
}
