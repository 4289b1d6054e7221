/* Record stream, the sender: ten thousand records of 1 to 200 bytes. */
#include <guest.h>

#define RECORDS 10000u

static struct weir_channel channel;

int main(void)
{
	uint8_t record[200];
	uint64_t sum = 0;

	if (channel_open(&channel, "stream") != WEIR_OK)
		return 1;
	for (uint32_t i = 0; i < RECORDS; i++) {
		uint32_t bytes = 1 + i % sizeof(record);

		memset(record, (int)(i & 0xff), bytes);
		sum += bytes * (i & 0xff);
		if (weir_channel_send(&channel, record, bytes) != WEIR_OK)
			return 1;
	}
	/* When this VM ends, what the other has not received is lost. */
	if (weir_channel_drain(&channel) != WEIR_OK)
		return 1;
	printf("sent %u records, sum %lu\n", RECORDS, sum);
	return 0;
}
