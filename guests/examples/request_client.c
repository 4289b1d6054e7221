/*
 * Request and response, who asks. Without an answer in a minute it gives up: one that comes later would be taken for that
 * to the next question.
 */
#include <guest.h>

#define REQUESTS 100u

static struct weir_channel channel;

static enum weir_status ask(uint64_t question, uint64_t *answer)
{
	enum weir_status status;
	uint32_t bytes;

	channel.deadline = timer_now() + 60 * timer_frequency(); /* else WEIR_TIMEOUT */
	status = weir_channel_send(&channel, &question, sizeof(question));
	if (status != WEIR_OK)
		return status;
	return weir_channel_receive(&channel, answer, sizeof(*answer), &bytes);
}

int main(void)
{
	uint64_t right = 0;

	if (channel_open(&channel, "square") != WEIR_OK)
		return 1;
	for (uint64_t i = 0; i < REQUESTS; i++) {
		uint64_t answer = 0;
		enum weir_status status = ask(i, &answer);

		if (status != WEIR_OK) {
			printf("no answer: %s\n", status_text(status));
			return 1;
		}
		right += answer == i * i;
	}
	printf("%lu of %u answers are right\n", right, REQUESTS);
	return 0;
}
