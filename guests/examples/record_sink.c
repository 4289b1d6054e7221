/* Record stream, the receiver: until the sender closes the channel, by its end for example. */
#include <guest.h>

static struct weir_channel channel;

int main(void)
{
	uint8_t record[200];
	uint32_t bytes, records = 0;
	uint64_t sum = 0;

	if (channel_open(&channel, "stream") != WEIR_OK)
		return 1;
	while (weir_channel_receive(&channel, record, sizeof(record), &bytes) == WEIR_OK) {
		for (uint32_t i = 0; i < bytes; i++)
			sum += record[i];
		records++;
	}
	printf("received %u records, sum %lu\n", records, sum);
	return 0;
}
