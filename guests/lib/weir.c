/*
 * Weir's side of the runtime: who is there, and what its three interrupts announce.
 *
 * Owns: the table of ports; of each vCPU its struct weir_pages and what is received through them.
 * ABI: guests/include/weir/.
 */
#include "guests/lib/runtime.h"

struct port {
	weir_handle handle;
	void (*fn)(weir_handle port, void *arg);
	void *arg;
	bool happened;
};

#define PORTS_OF_PAGE (PAGE_SIZE / sizeof(struct port))

static bool present;
/* The first ones, which are all that most have; the pages of the others are made when they are needed. */
static struct port first_ports[PORTS_OF_PAGE];
static struct port *port_pages[PORTS_MAX / PORTS_OF_PAGE] = { first_ports };
static enum weir_status (*services[WEIR_SERVICE_COUNT])(const uint64_t *argument, uint64_t *reply);

bool weir_present(void)
{
	return present;
}

struct weir_pages *weir_here(void)
{
	return &cpu_self()->pages;
}

struct region weir_region(enum weir_region which)
{
	uint64_t base = 0, bytes = 0;

	weir_memory(which, &base, &bytes);
	return (struct region){ .base = (uint8_t *)base, .bytes = bytes };
}

const char *status_text(enum weir_status status)
{
	static const char *const texts[] = {
		"ok",
		"not supported",
		"invalid argument",
		"no right to it",
		"not found",
		"stale",
		"not now",
		"busy",
		"quota used up",
		"closed by the peer",
		"I/O error",
		"timeout",
		"not the VM's memory",
	};
	int index = -(int)status;

	return index >= 0 && index < (int)(sizeof(texts) / sizeof(texts[0])) ? texts[index]
									     : "unknown status";
}

/* Events. */

/* NULL: there is no memory for it. */
static struct port *port_of(uint32_t number)
{
	struct port **page = &port_pages[number / PORTS_OF_PAGE % (PORTS_MAX / PORTS_OF_PAGE)];
	struct port *now = __atomic_load_n(page, __ATOMIC_ACQUIRE), *made;

	if (!now) {
		made = memory_pages(1);
		/* If another vCPU was faster that page is taken, and this one wasted. */
		if (!made || __atomic_compare_exchange_n(page, &now, made, false, __ATOMIC_ACQ_REL,
							 __ATOMIC_ACQUIRE))
			now = made;
	}
	return now ? &now[number % PORTS_OF_PAGE] : NULL;
}

static void event_interrupt(uint32_t intid, void *arg)
{
	const struct weir_pages *pages = &cpu_self()->pages;
	uint32_t number;

	(void)intid;
	(void)arg;
	while (weir_event_next(pages, &number)) {
		struct port *port = port_of(number);

		if (!port)
			continue;
		__atomic_store_n(&port->happened, true, __ATOMIC_RELEASE);
		if (port->fn)
			port->fn(port->handle, port->arg);
	}
}

void event_handle(weir_handle handle, void (*fn)(weir_handle port, void *arg), void *arg)
{
	struct port *port = port_of(weir_port_number(handle));
	uint64_t flags = irq_save();

	if (port) {
		port->handle = handle;
		port->fn = fn;
		port->arg = arg;
	}
	irq_restore(flags);
}

enum weir_status event_close(weir_handle handle)
{
	event_handle(handle, NULL, NULL);
	return weir_port_close(handle);
}

struct wait {
	const weir_handle *ports;
	uint32_t count;
	struct port *happened; /* the first of them that has */
	uint32_t which;
};

static bool any_happened(void *arg)
{
	struct wait *wait = arg;

	for (wait->which = 0; wait->which < wait->count; wait->which++) {
		wait->happened = port_of(weir_port_number(wait->ports[wait->which]));
		if (wait->happened && __atomic_load_n(&wait->happened->happened, __ATOMIC_ACQUIRE))
			return true;
	}
	return false;
}

bool event_wait_any(const weir_handle *ports, uint32_t count, uint64_t deadline, uint32_t *which)
{
	struct wait wait = { .ports = ports, .count = count };

	if (!task_wait(any_happened, &wait, deadline))
		return false;
	*which = wait.which;
	/* Taken before the caller looks: what happens from here on is a new event. */
	return __atomic_exchange_n(&wait.happened->happened, false, __ATOMIC_SEQ_CST);
}

bool event_wait(weir_handle handle, uint64_t deadline)
{
	uint32_t which;

	return event_wait_any(&handle, 1, deadline, &which);
}

/* Block requests: the cookie is the request's address. */

static void block_interrupt(uint32_t intid, void *arg)
{
	const struct weir_pages *pages = &cpu_self()->pages;
	struct weir_completion completion;

	(void)intid;
	(void)arg;
	while (weir_block_next(pages, &completion)) {
		struct block_request *request = (struct block_request *)completion.cookie;

		request->status = (enum weir_status)completion.status;
		__atomic_store_n(&request->done, true, __ATOMIC_RELEASE);
		if (request->finished)
			request->finished(request);
	}
}

enum weir_status block_start(struct block_request *request)
{
	enum weir_status status;

	request->done = false;
	status = weir_block_submit(request->disk, request->operation, request->sector,
				   request->sectors, request->buffer, (uint64_t)request);
	if (status != WEIR_OK) {
		request->status = status;
		request->done = true;
	}
	return status;
}

static bool block_is_done(void *arg)
{
	return __atomic_load_n(&((struct block_request *)arg)->done, __ATOMIC_ACQUIRE);
}

enum weir_status block_wait(struct block_request *request)
{
	task_wait(block_is_done, request, TASK_FOREVER);
	return request->status;
}

/* The room may be taken by other VMs, whose completions nobody tells us: so look again in a while.
 */
enum weir_status block_submit(struct block_request *request)
{
	enum weir_status status = block_start(request);

	while (status == WEIR_AGAIN || status == WEIR_QUOTA) {
		task_sleep(200000);
		status = block_start(request);
	}
	return status;
}

enum weir_status block_run(struct block_request *request)
{
	enum weir_status status = block_submit(request);

	return status == WEIR_OK ? block_wait(request) : status;
}

/* Upcalls. */

static enum weir_status ping(const uint64_t *argument, uint64_t *reply)
{
	reply[0] = argument[0];
	return WEIR_OK;
}

static void upcall_interrupt(uint32_t intid, void *arg)
{
	struct cpu *cpu = cpu_self();
	struct weir_upcall request = weir_upcall_get(&cpu->pages);
	uint64_t reply[WEIR_UPCALL_REPLIES] = { 0 };
	enum weir_status status = WEIR_NOT_FOUND;

	(void)intid;
	(void)arg;
	if (request.service < WEIR_SERVICE_COUNT && (cpu->upcall_services >> request.service & 1))
		status = services[request.service](request.argument, reply);
	weir_upcall_return(&cpu->pages, request.sequence, status, reply);
}

enum weir_status upcall_handle(enum weir_service service,
			       enum weir_status (*fn)(const uint64_t *argument, uint64_t *reply))
{
	struct cpu *cpu = cpu_self();
	enum weir_status status;

	if ((unsigned int)service >= WEIR_SERVICE_COUNT || (!fn && service != WEIR_SERVICE_PING))
		return WEIR_INVALID;
	services[WEIR_SERVICE_PING] =
		services[WEIR_SERVICE_PING] ? services[WEIR_SERVICE_PING] : ping;
	services[service] = fn ? fn : ping;
	cpu->upcall_services |= 1ull << service | 1ull << WEIR_SERVICE_PING;
	/* A request is open: its interrupt comes between the calls, or its deadline passes. */
	do
		status = weir_upcall_register(cpu->upcall_services);
	while (status == WEIR_BUSY);
	return status;
}

void weir_cpu_init(struct cpu *cpu)
{
	if (!present || weir_pages_get(&cpu->pages) != WEIR_OK)
		return;
	irq_handle(WEIR_INTID_EVENT, event_interrupt, NULL);
	irq_handle(WEIR_INTID_BLOCK, block_interrupt, NULL);
	irq_handle(WEIR_INTID_UPCALL, upcall_interrupt, NULL);
}

void weir_init(void)
{
	present = weir_find() && weir_version() >= WEIR_ABI_VERSION;
	if (present)
		memory_limit((uint64_t)weir_region(WEIR_REGION_POOL).base);
}
