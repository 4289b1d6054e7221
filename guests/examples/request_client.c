/* Request and response, who asks. What gets no answer in a second is given up. */
#include <guest.h>

#define REQUESTS 100u

static struct weir_channel channel;

static enum weir_status ask(uint64_t question, uint64_t *answer)
{
	enum weir_status status = weir_channel_send(&channel, &question, sizeof(question));
	uint32_t bytes;

	if (status != WEIR_OK)
		return status;
	channel.deadline = timer_now() + timer_frequency(); /* else WEIR_TIMEOUT */
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

		if (status != WEIR_OK)
			printf("no answer: %s\n", status_text(status));
		right += status == WEIR_OK && answer == i * i;
	}
	printf("%lu of %u answers are right\n", right, REQUESTS);
	return 0;
}
