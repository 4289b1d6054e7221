/*
 * The other half of Weir's main job: receives a file from the VM at the other end of the channel
 * "file", and writes it to the first disk of this VM. carry.h is the protocol. The header is zeroed
 * first and written last, with a flush before and after it: what has a header is whole. One that
 * may not have reached the medium is taken back.
 */
#include "guests/carry.h"

static weir_handle port;
static struct weir_ring_consumer ring;
static struct weir_block_info disk;
static struct block_request slots[CARRY_SLOTS];
static uint64_t room_bytes; /* of a buffer: of the largest record, whole sectors */
static uint64_t received_bytes;

static struct carry_header *header;

static enum weir_status flush(void)
{
	struct block_request request = { .operation = WEIR_BLOCK_FLUSH };

	return block_run(&request);
}

static enum weir_status write_header(void)
{
	struct block_request request = { .operation = WEIR_BLOCK_WRITE,
					 .sectors = 1,
					 .buffer = header };
	enum weir_status status = block_run(&request);

	return status == WEIR_OK ? flush() : status;
}

static void open_copy(void)
{
	carry_check(weir_block_info(0, &disk), "find the disk");
	carry_check(disk.read_only ? WEIR_DENIED : WEIR_OK, "write to the disk");
	header = carry_pages(sizeof(*header));
	carry_check(write_header(), "clear the header");
}

/* This VM's part of the ring is one page, the first of the pool. */
static void open_ring(void)
{
	struct region pool = weir_region(WEIR_REGION_POOL);
	struct region window = weir_region(WEIR_REGION_WINDOW);
	weir_handle grant;
	uint32_t pages;
	uint64_t bytes;

	carry_check(weir_port_find(weir_here(), CARRY_CHANNEL, &port), "find the channel");
	carry_check(weir_grant_map(port, carry_wait_for_peer(port), 0, &pages, NULL),
		    "map the ring");
	bytes = (uint64_t)pages * WEIR_PAGE_SIZE;
	carry_check(weir_ring_consumer_init(&ring, pool.base, window.base, bytes), "open the ring");
	carry_check(weir_grant_share(port, 0, 1, WEIR_READ, &grant), "share the ring");
	carry_check(weir_port_publish(port, grant), "publish the ring");

	room_bytes = (weir_ring_max(bytes) + WEIR_SECTOR_SIZE - 1) & ~(WEIR_SECTOR_SIZE - 1ull);
	for (uint32_t i = 0; i < CARRY_SLOTS; i++) {
		slots[i].buffer = carry_pages(room_bytes);
		slots[i].done = true;
	}
}

static void release(void)
{
	carry_kick(port, weir_ring_release(&ring));
}

/* The next record. The end is not released yet: that is the answer, which comes later. */
static enum carry_tag receive(void *buffer, uint32_t *bytes)
{
	enum weir_status status;
	uint32_t tag;

	while ((status = weir_ring_read(&ring, buffer, room_bytes, bytes, &tag)) == WEIR_AGAIN) {
		if (weir_ring_arm_read(&ring) == WEIR_AGAIN)
			carry_sleep(port);
	}
	carry_check(status, "read from the ring");
	if (tag != CARRY_END)
		release();
	return (enum carry_tag)tag;
}

/* A record that is not of whole sectors is the last: nothing can follow it. */
static void store(struct block_request *request, uint32_t bytes)
{
	uint32_t odd = bytes % WEIR_SECTOR_SIZE, fill = odd ? WEIR_SECTOR_SIZE - odd : 0;

	if (bytes == 0 || received_bytes % WEIR_SECTOR_SIZE != 0)
		carry_fail("the reader's record is malformed", WEIR_INVALID);
	memset((uint8_t *)request->buffer + bytes, 0, fill);
	request->operation = WEIR_BLOCK_WRITE;
	request->sector = 1 + received_bytes / WEIR_SECTOR_SIZE;
	request->sectors = (bytes + fill) / WEIR_SECTOR_SIZE;
	if (request->sector + request->sectors > disk.sectors)
		carry_fail("the file is longer than the disk", WEIR_INVALID);
	carry_check(block_submit(request), "start to write");
	received_bytes += bytes;
}

static void receive_file(void)
{
	for (uint32_t i = 0;; i++) {
		struct block_request *request = &slots[i % CARRY_SLOTS];
		struct carry_end end;
		enum carry_tag tag;
		uint32_t bytes;

		carry_check(block_wait(request), "write");
		tag = receive(request->buffer, &bytes);
		if (tag == CARRY_DATA) {
			store(request, bytes);
			continue;
		}
		memcpy(&end, request->buffer, sizeof(end));
		if (tag != CARRY_END || bytes != sizeof(end) || end.bytes != received_bytes)
			carry_fail("the file did not come to its end", WEIR_INVALID);
		return;
	}
}

static void finish_copy(void)
{
	enum weir_status status;

	for (uint32_t i = 0; i < CARRY_SLOTS; i++)
		carry_check(block_wait(&slots[i]), "write");
	carry_check(flush(), "flush");
	memcpy(header->magic, CARRY_MAGIC, sizeof(header->magic));
	header->bytes = received_bytes;
	status = write_header();
	if (status != WEIR_OK) {
		memset(header, 0, sizeof(*header));
		write_header();
		carry_fail("write the header", status);
	}
	release();
}

/* The reader looks into our page until it has seen the answer. */
static void wait_until_seen(void)
{
	uint64_t word = 0;
	bool open = true;

	while (weir_port_peer(port, &word, &open) == WEIR_OK && open && word != CARRY_SEEN)
		event_wait(port, TASK_FOREVER);
}

int main(void)
{
	if (!weir_present())
		return 1;
	open_copy();
	open_ring();
	receive_file();
	finish_copy();
	printf("wrote %lu bytes\n", received_bytes);
	wait_until_seen();
	return 0;
}
