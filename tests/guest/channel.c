/* Channels and page rings with a VM that dies in the middle and comes back (channel_mortal.c). */
#include "tests/guest/channel.h"
#include "tests/guest/tap.h"

#define LIVES 40u /* of each kind; more, where a life is over before much was done in it */

static struct weir_channel talk;
static struct weir_page_ring ring = { .slots = PAGE_SLOTS, .slot_pages = SLOT_PAGES };
static uint64_t life, records, pages, back;

/* Who has received the record may have ended before it is told of it; but not before the first page. */
static void begin(enum channel_mode mode)
{
	struct channel_begin first = { .life = life + 1, .mode = mode };
	enum weir_status status;

	life++;
	CHECK_IS(channel_open(&talk, "talk"), WEIR_OK);
	status = weir_channel_send(&talk, &first, sizeof(first));
	CHECK(status == WEIR_OK || (status == WEIR_CLOSED && mode != MODE_PAGES));
}

/* Several are on their way at once; the answers come in their order. WEIR_CLOSED ends it. */
static enum weir_status expect_answer(uint64_t number)
{
	static uint64_t answer[256];
	uint32_t bytes = 0;
	enum weir_status status = weir_channel_receive(&talk, answer, sizeof(answer), &bytes);

	if (status != WEIR_OK)
		return status;
	CHECK_IS(bytes, channel_words(number) * 8);
	for (uint32_t i = 0; i < bytes / 8; i++)
		CHECK_IS(~answer[i], channel_word(life, number, i));
	return WEIR_OK;
}

static enum weir_status send_record(uint64_t number)
{
	uint64_t content[100];

	for (uint32_t i = 0; i < channel_words(number); i++)
		content[i] = channel_word(life, number, i);
	return weir_channel_send(&talk, content, channel_words(number) * 8);
}

TEST(what_is_answered_is_right_until_the_peer_dies_and_again_in_its_next_life)
{
	for (uint32_t i = 0; (i < LIVES || records <= LIVES) && !tap_failure.line; i++) {
		enum weir_status status = WEIR_OK;

		begin(MODE_RECORDS);
		for (uint64_t number = 0; status == WEIR_OK && !tap_failure.line; number++) {
			status = send_record(number);
			if (status == WEIR_OK && number >= 3)
				status = expect_answer(number - 3);
			records += status == WEIR_OK;
		}
		CHECK_IS(status, WEIR_CLOSED);
	}
}

/* Each word is the complement of what was sent; or it is zero, from a peer that has died. */
static void look_at(const uint64_t *words)
{
	uint64_t wrong = 0;

	if (words[0] == 0)
		return;
	back++;
	for (uint64_t k = 1; k < SLOT_WORDS; k++)
		wrong += words[k] != words[0] - k;
	CHECK_IS(words[0] >> 63, 1);
	CHECK_IS(wrong, 0);
}

static enum weir_status pass_one(uint64_t number)
{
	uint8_t *buffer;
	uint64_t *words;
	enum weir_status status = weir_page_ring_reserve(&ring, &buffer);

	if (status != WEIR_OK)
		return status;
	words = (uint64_t *)(void *)buffer;
	if (number >= PAGE_SLOTS) /* else it was not passed in this session */
		look_at(words);
	for (uint64_t k = 0; k < SLOT_WORDS; k++)
		words[k] = (life << 32 | number << 16 | 1) + k;
	return weir_page_ring_pass(&ring, buffer, SLOT_WORDS * 8);
}

TEST(pages_come_home_from_a_peer_that_dies_with_them)
{
	for (uint32_t i = 0; (i < LIVES || back <= LIVES) && !tap_failure.line; i++) {
		enum weir_status status = WEIR_OK;

		begin(MODE_PAGES);
		CHECK_IS(page_ring_open(&ring, "pages"), WEIR_OK);
		for (uint64_t number = 0; status == WEIR_OK && !tap_failure.line; number++) {
			status = pass_one(number);
			pages += status == WEIR_OK;
		}
		CHECK_IS(status, WEIR_CLOSED);
	}
	CHECK(pages > LIVES);
}

static bool peer_is_off(void)
{
	bool open = true;

	weir_port_peer(talk.port, NULL, &open);
	return !open;
}

TEST(the_last_life_ends_by_itself)
{
	begin(MODE_END);
	CHECK(WAIT(peer_is_off()));
	CHECK_IS(weir_channel_send(&talk, &life, sizeof(life)), WEIR_CLOSED);
	printf("# %lu records, %lu passes, %lu came back\n", records, pages, back);
}

TESTS = {
	RUN(what_is_answered_is_right_until_the_peer_dies_and_again_in_its_next_life),
	RUN(pages_come_home_from_a_peer_that_dies_with_them),
	RUN(the_last_life_ends_by_itself),
};
TESTS_MAIN
