/*
 * Virtio disks on the block service (block_virtio.h): requests, from a chain to its end. The device is in
 * block_virtio_device.c; what interrupts look for is in block_virtio_look.c.
 *
 * Owns:  the requests of struct virtio_disk.
 * Locks: disk->device.lock guards them. A request that is taken belongs to the core that has it, then to the
 *	  service until it is done. The service's locks are taken with this one free.
 *
 * Header and answer are touched through the core's windows; the data move by DMA. All of it that lies in the
 * pool is in the request's `reach` from the moment at which it is taken, before it is asked whether any of it
 * is shared: so a page that is shared meanwhile is refused there, or seen here (ipc/grant.h).
 */
#include "ipc/block_virtio.h"

#include "core/base/string.h"
#include "core/life.h"
#include "ipc/block_virtio_disk.h"
#include "ipc/grant.h"
#include "ipc/ipc.h"

#define REACH_LOOKED_AT (2 * MIB)
#define PIECES_AT_ONCE	4u /* behind so many no other chain is begun in this exit */

#define TYPE_IN	    0u
#define TYPE_OUT    1u
#define TYPE_FLUSH  4u
#define TYPE_GET_ID 8u

#define ANSWER_OK	   0u
#define ANSWER_IO	   1u
#define ANSWER_UNSUPPORTED 2u
#define ANSWER_NONE	   3u /* not answered yet: the service has it */

#define ID_BYTES 20u

struct header {
	u32 type, reserved;
	u64 sector;
};

/* ---- The end of a request -------------------------------------------------------------------- */

/*
 * Tells the driver, unless there is none any more: its VM ends, or it resets the device. What waits for a request finds
 * this one by an interrupt, if the service had it; else by who has answered it, who goes on with the queue.
 */
static void finish(struct virtio_request *request, u8 answer, bool was_sent)
{
	struct virtio_disk *disk = request->disk;
	struct virtio_device *device = &disk->device;
	bool more, end;

	spin_lock(&device->lock);
	end = block_stopped(&device->vm->ipc->block);
	if (!end && virtio_live(device) && device->queue[0].ready) {
		*(u8 *)virtio_shown(request->answer) = answer;
		virtio_put(device, &device->queue[0], request->chain.head,
			   answer == ANSWER_OK ? request->written : 1);
	}
	disk->free |= request->bit;
	more = was_sent && disk->starved;
	if (more)
		disk->starved = false;
	spin_unlock(&device->lock);
	if (more)
		block_virtio_look_later(disk);
	if (end)
		vm_device_done(device->vm);
}

/* ---- The way through the service ------------------------------------------------------------- */

/* The next data, as much as the device takes at once. */
static RARE APART enum weir_status start_next(struct virtio_request *request)
{
	const struct block_disk *disk = request->disk->disk;
	struct block_request *io = &request->request;
	u32 room = (u32)disk->max_sectors * BLOCK_SECTOR_BYTES, count = 0;
	u32 most = min(request->left, disk->device->max_segments);
	struct block_segment *piece = request->data;

	io->segment = piece;
	io->has_table = io->ticks = 0;
	for (; count < most && room; count++, piece++) {
		if (piece->bytes > room) {
			request->later = piece->bytes - room;
			piece->bytes = room;
		}
		room -= piece->bytes;
	}
	io->segment_count = count;
	return block_start(request->disk->device.vm, disk, io);
}

/* What the device has done is over. */
static RARE void pass(struct virtio_request *request)
{
	struct block_request *io = &request->request;
	u32 count = io->segment_count;
	struct block_segment *last;

	for (u32 i = 0; i < count; i++)
		io->sector += io->segment[i].bytes / BLOCK_SECTOR_BYTES;
	if (request->later) {
		last = &request->data[--count];
		last->pa.raw += last->bytes;
		last->bytes = request->later;
		request->later = 0;
	}
	request->data += count;
	request->left -= count;
}

static bool must_flush(const struct virtio_request *request)
{
	const struct virtio_disk *disk = request->disk;

	return request->request.operation == BLOCK_WRITE && !disk->disk->device->write_through &&
	       !virtio_has(&disk->device, FEATURE_FLUSH);
}

/*
 * Called by the service, with its locks only if the request failed. A driver that does not know how to flush
 * takes a write that is done for one on the medium (5.2.6.2).
 */
void block_virtio_done(struct block_request *io, enum weir_status status)
{
	struct virtio_request *request = container_of(io, struct virtio_request, request);
	struct vm *vm = request->disk->device.vm;
	bool more;

	if (io->ticks)
		block_charge(vm->vcpu[0], io->ticks);
	more = request->later || request->left > io->segment_count;
	if (status == WEIR_OK && !block_stopped(&vm->ipc->block) && (more || must_flush(request))) {
		pass(request);
		if (!more)
			io->operation = BLOCK_FLUSH;
		status = start_next(request);
		if (status == WEIR_OK)
			return;
	}
	finish(request, status == WEIR_OK ? ANSWER_OK : ANSWER_IO, true);
}

/* ---- The beginning of a request -------------------------------------------------------------- */

/*
 * The data of a read are what the driver may have written, but for the answer; of a write what it has, but for the
 * header. They stay where they are in the chain, but that pieces which touch are joined: for one alone need not be whole
 * sectors. Returns how many bytes; 0: there are none, or what is behind a piece is in mid-sector.
 */
static RARE APART u64 join(struct virtio_request *request, bool read)
{
	struct virtio_chain *chain = &request->chain;
	struct block_segment *piece = &chain->piece[read ? chain->readable : 0], *to = piece;
	const struct block_segment *last = &chain->piece[read ? chain->count : chain->readable];
	u64 bytes = 0, all = 0, end = UINT64_MAX; /* of the last piece: of none at first */

	chain->piece[0].pa.raw += sizeof(struct header);
	chain->piece[0].bytes -= sizeof(struct header);
	chain->piece[chain->count - 1].bytes--;
	request->data = to;
	for (; piece < last; piece++) {
		u64 at = piece->pa.raw;
		u32 here = piece->bytes;

		if (!here)
			continue;
		if (at == end && here <= UINT32_MAX - to[-1].bytes) {
			to[-1].bytes += here;
		} else {
			all |= bytes;
			*to++ = (struct block_segment){ PA(at), here, 0 };
		}
		bytes += here;
		end = at + here;
	}
	request->left = (u32)(to - request->data);
	return (all | bytes) % BLOCK_SECTOR_BYTES ? 0 : bytes;
}

/*
 * The same without a look at each piece, if they are as kernels make them, and the device takes them at once: header and
 * answer are pieces by themselves, and all others are whole sectors. These are if the header's 16 is all that is left of
 * their sizes, for at most sixteen times 16 bytes more are no whole sector either.
 */
static u64 gather(struct virtio_request *request, bool read)
{
	const struct virtio_chain *chain = &request->chain;
	const struct block_disk *disk = request->disk->disk;
	struct block_request *io = &request->request;
	const u32 rest = BLOCK_SECTOR_BYTES - 1;
	u64 bytes = chain->bytes - sizeof(struct header) - 1;
	u32 count = chain->count;

	/* Of a disk that is missing all are too many. */
	if (chain->readable != (read ? 1 : count - 1) ||
	    chain->piece[0].bytes != sizeof(struct header) || chain->piece[count - 1].bytes != 1 ||
	    (chain->sizes & rest) != sizeof(struct header) || bytes & rest ||
	    bytes - 1 >= disk->max_sectors * BLOCK_SECTOR_BYTES ||
	    count - 2 > disk->device->max_segments)
		return join(request, read);
	io->segment = request->data = &request->chain.piece[1];
	io->segment_count = request->left = count - 2;
	io->has_table = true;
	io->ticks = 0;
	return bytes;
}

/* Nobody's now: the next vCPU that notifies pays. */
static APART void owe(struct virtio_disk *disk, u64 sectors)
{
	spin_lock(&disk->device.lock);
	disk->owed_requests++;
	disk->owed_sectors += sectors;
	spin_unlock(&disk->device.lock);
}

static void account(struct virtio_disk *disk, struct vcpu *self, u64 sectors)
{
	if (self)
		account_block(&self->account, sectors);
	else
		owe(disk, sectors);
}

static APART u8 begin_flush(struct virtio_request *request, struct vcpu *self)
{
	const struct block_disk *disk = request->disk->disk;

	if (!disk->device)
		return ANSWER_IO;
	request->request.operation = BLOCK_FLUSH;
	request->request.sector = 0; /* 5.2.6.1 */
	request->written = 1;
	account(request->disk, self, 0);
	if (disk->device->write_through)
		return ANSWER_OK;
	return start_next(request) == WEIR_OK ? ANSWER_NONE : ANSWER_IO;
}

/* ANSWER_NONE: the service has it, and `done` comes or was here. */
static u8 begin_io(struct virtio_request *request, struct vcpu *self, bool read, u64 sector)
{
	const struct block_disk *disk = request->disk->disk;
	struct block_request *io = &request->request;
	u64 bytes = gather(request, read), sectors = bytes / BLOCK_SECTOR_BYTES;
	enum weir_status status;

	if (!disk->device || (!read && block_virtio_read_only(disk)))
		return ANSWER_IO;
	if (!sectors || sectors > disk->sectors || sector > disk->sectors - sectors)
		return ANSWER_IO;
	io->operation = read ? BLOCK_READ : BLOCK_WRITE;
	io->sector = disk->first_sector + sector;
	request->written = (read ? (u32)bytes : 0) + 1;
	account(request->disk, self, sectors);
	if (io->segment_count)
		status = block_start(request->disk->device.vm, disk, io);
	else
		status = start_next(request);
	return status == WEIR_OK ? ANSWER_NONE : ANSWER_IO;
}

static APART u8 get_id(struct virtio_request *request)
{
	const struct block_segment *piece = &request->chain.piece[request->chain.readable];
	const char *name = request->disk->disk->config->name;
	char id[ID_BYTES] = { 0 };

	if (piece->bytes < ID_BYTES)
		return ANSWER_IO;
	memcpy(id, name, min(strlen(name), ID_BYTES));
	virtio_copy_out(piece->pa, id, ID_BYTES);
	request->written = ID_BYTES + 1;
	return ANSWER_OK;
}

static APART struct header copy_header(pa_t pa)
{
	struct header header;

	virtio_copy_in(&header, pa, sizeof(header));
	return header;
}

/* Each word is read once. As drivers have it, it is aligned and in a page. */
static struct header read_header(pa_t pa)
{
	const u64 *words;

	if (pa.raw % sizeof(u64) || (pa.raw & PAGE_MASK) > PAGE_SIZE - sizeof(struct header))
		return copy_header(pa);
	words = virtio_shown(pa);
	return (struct header){ .type = (u32)read_once(words[0]), .sector = read_once(words[1]) };
}

static u8 begin(struct virtio_request *request, struct vcpu *self)
{
	struct header header = read_header(request->chain.piece[0].pa);

	request->request.segment_count = request->left = request->later = 0;
	switch (header.type) {
	case TYPE_IN:
	case TYPE_OUT:
		return begin_io(request, self, header.type == TYPE_IN, header.sector);
	case TYPE_FLUSH:
		return begin_flush(request, self);
	case TYPE_GET_ID:
		return get_id(request);
	default:
		return ANSWER_UNSUPPORTED;
	}
}

/* Which pieces are shared, or have too much of the pool to be looked at, a bit each. */
static APART u32 shared_pieces(struct vm *vm, const struct virtio_request *request)
{
	const struct virtio_chain *chain = &request->chain;
	const struct block_reach *reach = &request->reach;
	u32 shared = 0;

	grant_lock(vm);
	/* Most often nothing is, and that is seen at once. */
	if (reach->to - reach->from <= REACH_LOOKED_AT &&
	    !grant_pages_shared(vm, PA(reach->from), reach->to - reach->from)) {
		grant_unlock(vm);
		return 0;
	}
	for (u32 i = 0; i < chain->count; i++) {
		const struct block_segment *piece = &chain->piece[i];
		u64 end = piece->pa.raw + piece->bytes;
		u64 from = max(piece->pa.raw, vm->ipc->grant.pool.raw);

		if (end > from &&
		    (end - from > REACH_LOOKED_AT || grant_pages_shared(vm, PA(from), end - from)))
			shared |= 1u << i;
	}
	grant_unlock(vm);
	return shared;
}

/* ---- Queues ---------------------------------------------------------------------------------- */

/* Apart: most chains have nothing of the pool, which is the end of RAM. */
static APART struct block_reach reach_of(const struct virtio_chain *chain, u64 pool)
{
	struct block_reach reach = { UINT64_MAX, 0 };

	for (u32 i = 0; i < chain->count; i++) {
		const struct block_segment *piece = &chain->piece[i];
		u64 end = piece->pa.raw + piece->bytes;

		if (end > pool) {
			reach.from = min(reach.from, max(piece->pa.raw, pool));
			reach.to = max(reach.to, end);
		}
	}
	return reach;
}

static void note_reach(struct virtio_request *request, const struct vm *vm)
{
	u64 pool = vm->ipc->grant.pool.raw;

	request->reach = (struct block_reach){ 0, 0 };
	if (request->chain.end > pool)
		request->reach = reach_of(&request->chain, pool);
}

/* Takes a chain and a request for it; 0: there is none, or it must wait. */
static struct virtio_request *take(struct virtio_device *device) NEEDS(device->lock)
{
	struct virtio_disk *disk = virtio_disk_of(device);
	struct virtio_request *request;
	const struct virtio_chain *chain;
	const struct block_segment *last;

	if (!virtio_live(device) || !device->queue[0].ready ||
	    block_stopped(&device->vm->ipc->block))
		return 0;
	if (!disk->free) {
		disk->starved = true;
		return 0;
	}
	request = &disk->request[__builtin_ctz(disk->free)];
	/* Hidden, or the compiler multiplies by its size again wherever it is used. */
	__asm__("" : "+r"(request));
	if (!virtio_take(device, &device->queue[0], &request->chain))
		return 0;
	chain = &request->chain;
	last = &chain->piece[chain->count - 1];
	if (chain->readable == chain->count || !chain->readable ||
	    chain->piece[0].bytes < sizeof(struct header)) {
		virtio_break(
			device); /* nothing to say what is wanted, or no place for the answer */
		return 0;
	}
	disk->free &= disk->free - 1;
	request->answer = PA(last->pa.raw + last->bytes - 1);
	note_reach(request, device->vm);
	return request;
}

/* Drops a request that names what is not the driver's to name. */
static APART void refuse(struct virtio_request *request)
{
	struct virtio_device *device = &request->disk->device;

	spin_lock(&device->lock);
	virtio_break(device);
	spin_unlock(&device->lock);
	finish(request, ANSWER_IO, false);
}

/*
 * The next request of the queue, and its pieces; 0: there is none, or it must wait. `sent`: the service has it; `more`: it
 * was not the last.
 */
static u32 serve(struct virtio_disk *disk, struct vcpu *self, bool *sent, bool *more)
{
	struct virtio_device *device = &disk->device;
	struct virtio_request *request;
	u32 shared = 0, pieces;
	u8 answer;

	spin_lock(&device->lock);
	request = take(device);
	*more = request && virtio_more(device, &device->queue[0]);
	spin_unlock(&device->lock);
	if (!request)
		return 0;
	pieces = request->chain.count; /* which is another's when it is done */
	if (request->reach.to)
		shared = shared_pieces(device->vm, request);
	if (shared & (1u | 1u << (pieces - 1))) {
		refuse(request);
		*more = false;
		return 0;
	}
	answer = shared ? ANSWER_IO : begin(request, self);
	if (answer != ANSWER_NONE)
		finish(request, answer, false);
	else if (sent)
		*sent = true;
	return pieces;
}

static APART void pay(struct virtio_disk *disk, struct account *account)
{
	spin_lock(&disk->device.lock);
	write_once(account->block_requests, account->block_requests + disk->owed_requests);
	write_once(account->block_sectors, account->block_sectors + disk->owed_sectors);
	disk->owed_requests = disk->owed_sectors = 0;
	spin_unlock(&disk->device.lock);
}

bool block_virtio_serve(struct virtio_disk *disk, struct vcpu *self, bool *sent)
{
	u32 served = 0;
	bool more = true;

	while (more && served < PIECES_AT_ONCE)
		served += serve(disk, self, sent, &more);
	return more;
}

bool block_virtio_notified(struct vcpu *self, struct virtio_device *device, u32 queue)
{
	struct virtio_disk *disk = virtio_disk_of(device);

	(void)queue;
	if (read_once(disk->owed_requests))
		pay(disk, &self->account);
	return block_virtio_serve(disk, self, 0);
}
