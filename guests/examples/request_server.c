/*
 * Request and response, who answers, until the client has gone. A server that stays opens the channel
 * again then, which waits for the client's next life.
 */
#include <guest.h>

static struct weir_channel channel;

int main(void)
{
	uint32_t bytes, answers = 0;
	uint64_t number;

	if (channel_open(&channel, "square") != WEIR_OK)
		return 1;
	while (weir_channel_receive(&channel, &number, sizeof(number), &bytes) == WEIR_OK) {
		number *= number;
		/* If the client is not there any more, the next receive says so. */
		weir_channel_send(&channel, &number, sizeof(number));
		answers++;
	}
	printf("gave %u answers\n", answers);
	return 0;
}
