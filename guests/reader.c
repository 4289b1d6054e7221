/*
 * One half of Weir's main job: reads a file from the first disk of this VM, and sends it to the VM
 * at the other end of the channel "file", through a ring in its shareable pool. carry.h is the
 * protocol. Meanwhile Weir may ask by upcall how far it is.
 */
#include "guests/carry.h"

#define CHUNK_BYTES_MAX (32u << 10)

static weir_handle port;
static struct weir_ring_producer ring;
static struct block_request slots[CARRY_SLOTS];
static uint64_t file_bytes, sent_bytes, chunk_bytes;

static enum weir_status progress(const uint64_t *argument, uint64_t *reply)
{
	(void)argument;
	reply[0] = __atomic_load_n(&sent_bytes, __ATOMIC_RELAXED);
	reply[1] = file_bytes;
	return WEIR_OK;
}

static void open_source(void)
{
	struct carry_header *header = carry_pages(sizeof(*header));
	struct block_request request = { .sectors = 1, .buffer = header };
	struct weir_block_info info;

	carry_check(weir_block_info(0, &info), "find the disk");
	carry_check(block_run(&request), "read the header");
	if (memcmp(header->magic, CARRY_MAGIC, sizeof(header->magic)) != 0)
		carry_fail("the disk holds no file", WEIR_NOT_FOUND);
	file_bytes = header->bytes;
	if (file_bytes > (info.sectors - 1) * WEIR_SECTOR_SIZE)
		carry_fail("the file is longer than the disk", WEIR_INVALID);
	chunk_bytes = CHUNK_BYTES_MAX;
	if (chunk_bytes > info.request_sectors_max * WEIR_SECTOR_SIZE)
		chunk_bytes = info.request_sectors_max * WEIR_SECTOR_SIZE;
}

/* The ring takes as much of the pool as one grant may have. */
static void open_ring(void)
{
	struct region pool = weir_region(WEIR_REGION_POOL);
	struct region window = weir_region(WEIR_REGION_WINDOW);
	uint64_t pages = pool.bytes / WEIR_PAGE_SIZE, most;
	weir_handle grant;

	if (pages > WEIR_GRANT_PAGES_MAX)
		pages = WEIR_GRANT_PAGES_MAX;
	carry_check(weir_port_find(weir_here(), CARRY_CHANNEL, &port), "find the channel");
	carry_check(weir_ring_producer_init(&ring, pool.base, pages * WEIR_PAGE_SIZE),
		    "make the ring");
	carry_check(weir_grant_share(port, 0, (uint32_t)pages, WEIR_READ, &grant),
		    "share the ring");
	carry_check(weir_port_publish(port, grant), "publish the ring");
	carry_check(weir_grant_map(port, carry_wait_for_peer(port), 0, NULL, NULL),
		    "map the writer's page");
	weir_ring_producer_connect(&ring, window.base);

	most = weir_ring_max(pages * WEIR_PAGE_SIZE) & ~(uint64_t)(WEIR_SECTOR_SIZE - 1);
	if (chunk_bytes > most)
		chunk_bytes = most;
}

static uint64_t chunk_length(uint64_t chunk)
{
	uint64_t left = file_bytes - chunk * chunk_bytes;

	return left < chunk_bytes ? left : chunk_bytes;
}

static void start_read(uint64_t chunk)
{
	struct block_request *request = &slots[chunk % CARRY_SLOTS];

	request->operation = WEIR_BLOCK_READ;
	request->sector = 1 + chunk * (chunk_bytes / WEIR_SECTOR_SIZE);
	request->sectors = (chunk_length(chunk) + WEIR_SECTOR_SIZE - 1) / WEIR_SECTOR_SIZE;
	if (!request->buffer)
		request->buffer = carry_pages(chunk_bytes);
	carry_check(block_submit(request), "start to read");
}

static void send(const void *content, uint64_t bytes, enum carry_tag tag)
{
	enum weir_status status;

	while ((status = weir_ring_write(&ring, content, bytes, tag)) == WEIR_AGAIN) {
		if (weir_ring_arm_write(&ring, bytes) == WEIR_AGAIN)
			carry_sleep(port);
	}
	carry_check(status, "write to the ring");
	carry_kick(port, weir_ring_publish(&ring));
}

static void send_file(void)
{
	uint64_t chunks = (file_bytes + chunk_bytes - 1) / chunk_bytes;
	struct carry_end end = { .bytes = file_bytes };

	for (uint64_t i = 0; i < CARRY_SLOTS && i < chunks; i++)
		start_read(i);
	for (uint64_t i = 0; i < chunks; i++) {
		struct block_request *request = &slots[i % CARRY_SLOTS];

		carry_check(block_wait(request), "read");
		send(request->buffer, chunk_length(i), CARRY_DATA);
		__atomic_store_n(&sent_bytes, sent_bytes + chunk_length(i), __ATOMIC_RELAXED);
		if (i + CARRY_SLOTS < chunks)
			start_read(i + CARRY_SLOTS);
	}
	send(&end, sizeof(end), CARRY_END);
}

/* What was released is on the writer's disk. */
static void wait_for_copy(void)
{
	enum weir_status status;

	while ((status = weir_ring_arm_drained(&ring)) == WEIR_AGAIN)
		carry_sleep(port);
	carry_check(status, "wait for the copy");
	carry_check(weir_port_publish(port, CARRY_SEEN), "tell the writer");
}

int main(void)
{
	if (!weir_present())
		return 1;
	open_source();
	printf("sending %lu bytes\n", file_bytes);
	carry_check(upcall_handle(WEIR_SERVICE_PROGRESS, progress), "offer the upcall");
	open_ring();
	send_file();
	wait_for_copy();
	return 0;
}
