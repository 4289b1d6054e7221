/*
 * One of two VMs that talk all the time, by events, a page each that the other maps, and a disk, until
 * they are ended, at any instruction. What it meets is what a peer that comes and goes may cause, or
 * it says so. Each exchange that worked counts on the channel of its own that goes to the manager.
 */
#include "tests/guest/tap.h"

#define WINDOW_PAGE 5u
#define READS	    8u
#define WORDS	    (PAGE_SIZE / 8)

static weir_handle peer, manager;
static struct region pool, window;
static struct block_request reads[READS];
static uint64_t exchanges;

/* Whatever else happens is Weir's fault: the test sees the line. */
#define EXPECT(condition)                                                           \
	do {                                                                        \
		if (!(condition))                                                   \
			printf("guest: chat, line %d: %s\n", __LINE__, #condition); \
	} while (0)

/* The word of a page is this one, of the life and the turn in its first two, or zero. */
static uint64_t content(uint64_t life, uint64_t turn, uint64_t word)
{
	return (life << 32 ^ turn << 12 ^ word) * 0x9e3779b97f4a7c15ull | 1;
}

static void read_finished(struct block_request *request)
{
	const uint64_t *words = request->buffer;

	EXPECT(request->status == WEIR_OK);
	EXPECT(words[0] == request->sector);
	request->sector = (request->sector + 7) % 4096;
	memset(request->buffer, 0xff, 512);
	block_start(request);
}

static void start_reads(void)
{
	struct weir_block_info disk;

	if (weir_block_info(0, &disk) != WEIR_OK)
		return;
	for (uint32_t i = 0; i < READS; i++) {
		reads[i] = (struct block_request){ .sector = i,
						   .sectors = 8,
						   .buffer = memory_pages(1),
						   .finished = read_finished };
		EXPECT(block_start(&reads[i]) == WEIR_OK);
	}
}

/* Our page for this turn; WEIR_CLOSED: the peer is not there. */
static enum weir_status show(uint64_t turn, weir_handle *grant)
{
	volatile uint64_t *page = (volatile uint64_t *)pool.base;
	uint64_t life = peer >> 16;
	enum weir_status status;

	page[0] = life;
	page[1] = turn;
	for (uint64_t word = 2; word < WORDS; word += 61)
		page[word] = content(life, turn, word);
	status = weir_grant_share(peer, 0, 1, WEIR_READ, grant);
	EXPECT(status == WEIR_OK || status == WEIR_CLOSED);
	if (status == WEIR_OK)
		status = weir_port_publish(peer, *grant);
	EXPECT(status == WEIR_OK || status == WEIR_CLOSED);
	return status;
}

/* The page is the peer's, or from some word on zero: it was revoked while we looked. */
static bool look(void)
{
	const volatile uint64_t *page =
		(const volatile uint64_t *)(window.base + WINDOW_PAGE * PAGE_SIZE);
	uint64_t life = page[0], turn = page[1];

	for (uint64_t word = 2; word < WORDS; word += 61) {
		uint64_t is = page[word];

		if (is == 0)
			return false;
		if (life && turn)
			EXPECT(is == content(life, turn, word));
	}
	return life && turn;
}

/* Maps what the peer shows, if it shows something, and looks at it. */
static bool see(void)
{
	enum weir_status status;
	uint64_t grant = 0;
	bool good;

	EXPECT(weir_port_peer(peer, &grant, NULL) == WEIR_OK);
	if (!grant)
		return false;
	status = weir_grant_map(peer, grant, WINDOW_PAGE, NULL, NULL);
	/* Its grant of before, revoked by now. */
	EXPECT(status == WEIR_OK || status == WEIR_STALE);
	if (status != WEIR_OK)
		return false;
	good = look();
	EXPECT(weir_grant_unmap(WINDOW_PAGE) == WEIR_OK);
	return good;
}

static void exchange(uint64_t turn)
{
	weir_handle grant = 0;
	enum weir_status status = show(turn, &grant);

	event_wait(peer, timer_now() + timer_ticks(300000));
	if (see()) {
		exchanges++;
		weir_port_publish(manager, (peer >> 16) << 32 | exchanges);
	}
	weir_event_send(peer);
	event_wait(peer, timer_now() + timer_ticks(300000));
	if (grant)
		EXPECT(weir_grant_revoke(grant) == WEIR_OK);
	(void)status;
}

int main(void)
{
	pool = weir_region(WEIR_REGION_POOL);
	window = weir_region(WEIR_REGION_WINDOW);
	EXPECT(weir_port_find(weir_here(), "chat", &peer) == WEIR_OK);
	if (weir_port_find(weir_here(), "left", &manager) != WEIR_OK)
		EXPECT(weir_port_find(weir_here(), "right", &manager) == WEIR_OK);
	start_reads();
	for (uint64_t turn = 1;; turn++)
		exchange(turn);
}
