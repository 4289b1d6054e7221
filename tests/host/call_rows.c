/* The calls, a row a call (call_rows.h). */
#include "call_rows.h"

#include <stdio.h>
#include <weir/block.h>
#include <weir/event.h>
#include <weir/grant.h>
#include <weir/store.h>
#include <weir/upcall.h>

enum { B = 1, D = 3, VMS = 4 };

/* ---- The rows ---------------------------------------------------------------------------------- */

#define E(status)		  (1u << -WEIR_##status)
#define ERRORS1(a)		  E(a)
#define ERRORS2(a, b)		  (E(a) | E(b))
#define ERRORS3(a, b, c)	  (E(a) | E(b) | E(c))
#define ERRORS4(a, b, c, d)	  (ERRORS2(a, b) | ERRORS2(c, d))
#define ERRORS5(a, b, c, d, e)	  (ERRORS2(a, b) | ERRORS3(c, d, e))
#define ERRORS6(a, b, c, d, e, f) (ERRORS3(a, b, c) | ERRORS3(d, e, f))

const struct call_row call_rows[] = {
	{ WEIR_FN_VERSION, { NOTHING }, 0 },
	{ WEIR_FN_PAGES, { NOTHING }, 0 },
	{ WEIR_FN_MEMORY, { REGION }, ERRORS1(INVALID) },
	{ WEIR_FN_PORT_FIND, { LENGTH }, ERRORS2(INVALID, NOT_FOUND) },
	{ WEIR_FN_EVENT_SEND, { PORT }, ERRORS3(INVALID, STALE, CLOSED) },
	{ WEIR_FN_PORT_BIND, { PORT, VCPU, PRIORITY }, ERRORS3(INVALID, STALE, BUSY) },
	{ WEIR_FN_PORT_PUBLISH, { PORT, WORD }, ERRORS3(INVALID, STALE, CLOSED) },
	{ WEIR_FN_PORT_PEER, { PORT }, ERRORS2(INVALID, STALE) },
	{ WEIR_FN_GRANT_SHARE,
	  { PORT, POOL_PAGE, PAGES, ACCESS },
	  ERRORS5(INVALID, STALE, CLOSED, BUSY, QUOTA) },
	{ WEIR_FN_GRANT_MAP,
	  { PORT, OFFERED, WINDOW },
	  ERRORS5(INVALID, STALE, DENIED, CLOSED, BUSY) },
	{ WEIR_FN_GRANT_PASS,
	  { PORT, WINDOW },
	  ERRORS6(INVALID, STALE, NOT_FOUND, DENIED, CLOSED, BUSY) },
	{ WEIR_FN_GRANT_LIST, { FLAG, WORD }, ERRORS2(INVALID, NOT_FOUND) },
	{ WEIR_FN_GRANT_UNMAP, { WINDOW }, ERRORS2(INVALID, NOT_FOUND) },
	{ WEIR_FN_GRANT_REVOKE, { MINE }, ERRORS2(INVALID, STALE) },
	{ WEIR_FN_BLOCK_INFO, { DISK }, ERRORS2(NOT_FOUND, IO) },
	{ WEIR_FN_BLOCK_SUBMIT,
	  { OPERATION, SECTOR, SECTORS, BUFFER, WORD },
	  ERRORS6(INVALID, NOT_FOUND, DENIED, FAULT, QUOTA, IO) },
	{ WEIR_FN_UPCALL_REGISTER, { SERVICES }, ERRORS2(INVALID, BUSY) },
	{ WEIR_FN_UPCALL_RETURN, { SEQUENCE, STATUS }, ERRORS2(STALE, INVALID) },
	{ WEIR_FN_VM_INFO, { POSITION }, ERRORS3(DENIED, NOT_FOUND, CLOSED) },
	{ WEIR_FN_VM_START, { MANAGED }, ERRORS5(DENIED, INVALID, NOT_FOUND, STALE, BUSY) },
	{ WEIR_FN_VM_STOP, { MANAGED }, ERRORS4(DENIED, INVALID, NOT_FOUND, STALE) },
	{ WEIR_FN_VM_RESTART, { MANAGED }, ERRORS4(DENIED, INVALID, NOT_FOUND, STALE) },
	{ WEIR_FN_PORT_OPEN,
	  { PORT_KIND, PORT },
	  ERRORS6(INVALID, STALE, BUSY, DENIED, NOT_FOUND, QUOTA) },
	{ WEIR_FN_PORT_CONNECT,
	  { PORT, OPENED, PORT_OR_VM },
	  ERRORS5(INVALID, STALE, DENIED, BUSY, QUOTA) },
	{ WEIR_FN_PORT_CLOSE, { OWN_PORT }, ERRORS4(INVALID, STALE, DENIED, BUSY) },
	{ WEIR_FN_PORT_MASK, { PORT, FLAG }, ERRORS2(INVALID, STALE) },
	{ WEIR_FN_PORT_TIMER, { TIMER, WORD }, ERRORS3(INVALID, STALE, DENIED) },
	{ WEIR_FN_SUBMIT, { NOTHING }, ERRORS1(AGAIN) },
	{ WEIR_FN_STORE_FIND, { NODE, LENGTH, OWNER }, ERRORS3(INVALID, STALE, NOT_FOUND) },
	{ WEIR_FN_STORE_MAKE,
	  { NODE, LENGTH, WORD, WORD, WORD },
	  ERRORS6(INVALID, STALE, DENIED, CLOSED, BUSY, QUOTA) },
	{ WEIR_FN_STORE_READ, { NODE }, ERRORS1(STALE) },
	{ WEIR_FN_STORE_WRITE,
	  { NODE, VALUE, NODE_GENERATION },
	  ERRORS5(INVALID, STALE, DENIED, AGAIN, QUOTA) },
	{ WEIR_FN_STORE_REMOVE, { NODE, NODE_GENERATION }, ERRORS4(STALE, DENIED, AGAIN, BUSY) },
	{ WEIR_FN_STORE_LIST, { NODE, WORD }, ERRORS2(STALE, NOT_FOUND) },
	{ WEIR_FN_STORE_ALLOW, { NODE, WORD, WORD, WORD }, ERRORS2(STALE, DENIED) },
	{ WEIR_FN_STORE_WATCH, { NODE, FLAG }, ERRORS3(INVALID, STALE, QUOTA) },
	{ WEIR_FN_STORE_WATCH_NEXT, { NOTHING }, ERRORS1(NOT_FOUND) },
};

const u32 call_row_count = ARRAY_SIZE(call_rows);

/* ---- What the arguments are -------------------------------------------------------------------- */

struct call_have call_have;

static bool is_port(u64 value)
{
	return value == call_have.to_b || value == call_have.to_c || value == call_have.ipi ||
	       value == call_have.timer;
}

static bool is_opened(u64 value)
{
	return value == call_have.opened;
}

static bool is_own_port(u64 value)
{
	return value == call_have.ipi || value == call_have.timer;
}

static bool is_timer(u64 value)
{
	return value == call_have.timer;
}

static bool is_offered(u64 value)
{
	return value == call_have.offered;
}

static bool is_mine(u64 value)
{
	return value == call_have.mine;
}

static bool is_operation(u64 value)
{
	return (value & 0xff) < 2 && value >> 8 <= WEIR_BLOCK_FLUSH;
}

static bool is_buffer(u64 value)
{
	return value % WEIR_SECTOR_SIZE == 0 && value - VM_RAM_BASE < FAKE_RAM_BYTES;
}

static bool is_sequence(u64 value)
{
	return value == call_have.sequence;
}

static bool is_status(u64 value)
{
	return value == WEIR_OK || value - (u64)WEIR_FAULT <= WEIR_INVALID - WEIR_FAULT;
}

/* VM a manages; each VM is in life 0 on this machine, so none fits. vm_command() is asked for other lives. */
static bool is_managed(u64 value)
{
	return (value & 0xffff) < VMS && value >> 16;
}

static bool is_port_or_vm(u64 value)
{
	return value == 0 || value == WEIR_PORT_VM;
}

/* The root and the homes that a may read are nodes as well; 0 is its own. */
static bool is_node(u64 value)
{
	return value == call_have.node || value == 0 || value == WEIR_STORE_ROOT ||
	       (value >> 16 == 1 && (value & 0xffff) % 16 == 1);
}

/* a's own, b's and c's handles; 0: as the node's. */
static bool is_owner(u64 value)
{
	return value == 0 || (value >> 16 == 3 && (value & 0xffff) < VMS);
}

/* What fits: below `limit`, from `first` on, or what `fits` says. What does not must be refused. */
static const struct {
	u64 first, limit;
	bool (*fits)(u64 value);
} kinds[KINDS] = {
	[NOTHING] = { 0, 1, 0 },
	[PORT] = { 0, 0, is_port },
	[VCPU] = { 0, 2, 0 },
	[PRIORITY] = { 0, WEIR_EVENT_PRIORITIES, 0 },
	[LENGTH] = { 1, WEIR_NAME_MAX + 1, 0 },
	[WORD] = { 0, UINT64_MAX, 0 },
	[REGION] = { 0, 3, 0 },
	[POOL_PAGE] = { 0, FAKE_POOL_PAGES, 0 },
	[PAGES] = { 1, WEIR_GRANT_PAGES_MAX + 1, 0 },
	[ACCESS] = { 0, WEIR_PASS + 1, 0 },
	[OFFERED] = { 0, 0, is_offered },
	[WINDOW] = { 0, FAKE_WINDOW_PAGES, 0 },
	[MINE] = { 0, 0, is_mine },
	[DISK] = { 0, 2, 0 },
	[OPERATION] = { 0, 0, is_operation },
	[SECTOR] = { 0, FAKE_DISK_SECTORS, 0 },
	[SECTORS] = { 1, 2049, 0 },
	[BUFFER] = { 0, 0, is_buffer },
	[SERVICES] = { 0, 1u << WEIR_SERVICE_COUNT, 0 },
	[SEQUENCE] = { 0, 0, is_sequence },
	[STATUS] = { 0, 0, is_status },
	[POSITION] = { 0, VMS, 0 },
	[MANAGED] = { 0, 0, is_managed },
	[PORT_KIND] = { 1, WEIR_PORT_STORE + 1, 0 },
	[OPENED] = { 0, 0, is_opened },
	[OWN_PORT] = { 0, 0, is_own_port },
	[TIMER] = { 0, 0, is_timer },
	[FLAG] = { 0, 2, 0 },
	[PORT_OR_VM] = { 0, 0, is_port_or_vm },
	[NODE] = { 0, 0, is_node },
	[OWNER] = { 0, 0, is_owner },
	[VALUE] = { 0, WEIR_STORE_VALUE_MAX + 1, 0 },
	[NODE_GENERATION] = { 0, 3, 0 },
};

bool call_fits(enum kind kind, u64 value)
{
	if (kinds[kind].fits)
		return kinds[kind].fits(value);
	return value >= kinds[kind].first &&
	       (value < kinds[kind].limit || kinds[kind].limit == UINT64_MAX);
}

u64 call_first(enum kind kind)
{
	return kinds[kind].first;
}

u64 call_range(enum kind kind)
{
	return max(kinds[kind].limit - kinds[kind].first, 1ul);
}

u64 call_good(u32 number, enum kind kind)
{
	switch (kind) {
	case PORT:
		return number == WEIR_FN_GRANT_PASS ? call_have.to_c : call_have.to_b;
	case LENGTH:
		return 2;
	case POOL_PAGE:
		return HAVE_OWN + 1;
	case PAGES:
		return 3;
	case OFFERED:
		return call_have.offered;
	case WINDOW:
		return number == WEIR_FN_GRANT_MAP    ? HAVE_FREE
		       : number == WEIR_FN_GRANT_PASS ? HAVE_PASSED
						      : HAVE_MAPPED;
	case MINE:
		return call_have.mine;
	case SECTORS:
		return 8;
	case BUFFER:
		return VM_RAM_BASE;
	case SEQUENCE:
		return call_have.sequence;
	case MANAGED:
		return call_have.managed;
	case WORD:
		return number == WEIR_FN_GRANT_LIST || number == WEIR_FN_STORE_LIST ? 0 : 77;
	case FLAG:
		return number == WEIR_FN_STORE_WATCH;
	case NODE:
		return call_have.node;
	case PORT_KIND:
		return WEIR_PORT_PEER;
	case OPENED:
		return call_have.opened;
	case OWN_PORT:
		return call_have.ipi;
	case TIMER:
		return call_have.timer;
	default:
		return 0;
	}
}

static u64 values[200];
static u32 value_count;

static void add(u64 value)
{
	for (u32 i = 0; i < value_count; i++)
		if (values[i] == value)
			return;
	assert_true(value_count < ARRAY_SIZE(values));
	values[value_count++] = value;
}

/* The edge of a range, and a handle with what lies beside it. */
static void add_around(u64 value)
{
	add(value - 1);
	add(value);
	add(value + 1);
}

static void add_handle(u64 handle)
{
	add_around(handle);
	add(handle + 0x10000);
	add(handle - 0x10000);
	add(handle + (1ul << 22));
	add(handle - (1ul << 22));
	add(handle | 1ul << 63);
}

u32 call_values(void)
{
	static const u64 edges[] = { 1ul << 16,
				     1ul << 31,
				     1ul << 32,
				     1ul << 63,
				     4,
				     31,
				     64,
				     FAKE_WINDOW_PAGES,
				     FAKE_POOL_PAGES,
				     FAKE_DISK_SECTORS,
				     2048,
				     VM_RAM_BASE,
				     VM_RAM_BASE + FAKE_RAM_BYTES,
				     VM_WINDOW_BASE,
				     0x100,
				     0x200,
				     0x300,
				     (u64)WEIR_FAULT,
				     (u64)WEIR_INVALID };

	value_count = 0;
	for (u64 i = 0; i < 4; i++)
		add(i);
	for (u32 i = 0; i < ARRAY_SIZE(edges); i++)
		add_around(edges[i]);
	add(UINT64_MAX);
	add(VM_RAM_BASE + FAKE_RAM_BYTES - WEIR_SECTOR_SIZE);
	add(VM_RAM_BASE + WEIR_SECTOR_SIZE);
	add(VM_RAM_BASE + (4 + HAVE_OWN) * PAGE_SIZE); /* shared */
	add(HAVE_MAPPED);
	add(HAVE_PASSED);
	add(HAVE_OWN);
	add_handle(call_have.to_b);
	add_handle(call_have.offered);
	add_handle(call_have.mine);
	add_handle(1ul << 22 | D << 16 | 3); /* d's grant */
	add(1ul << 22 | B << 16);	     /* b's, which is mapped */
	add_handle(call_have.managed);
	add_handle(call_have.ipi);
	add_handle(call_have.timer);
	add_handle(call_have.opened);
	add(0x8000 | 9); /* what a port has that nobody has */
	add(call_have.sequence + 1);
	add_handle(call_have.node);
	add(WEIR_STORE_VALUE_MAX);
	add(WEIR_STORE_VALUE_MAX + 1);
	return value_count;
}

u64 call_value(u32 index)
{
	return values[index];
}

/* ---- Calling ----------------------------------------------------------------------------------- */

/* What the header names, and WEIR_INVALID for arguments that it does not. */
static u32 errors_of(const struct call_row *row, const u64 *argument)
{
	for (u32 i = 0; i < ARGUMENTS; i++)
		if (row->argument[i] == NOTHING && argument[i])
			return row->errors | E(INVALID);
	return row->errors;
}

s64 call_row(const struct call_row *row, const u64 x[ARGUMENTS], const char *what)
{
	struct weir_result result =
		weir_call(WEIR_FN(row->number), x[0], x[1], x[2], x[3], x[4], 0);
	s64 status = result.status;

	if (status == WEIR_OK)
		return status;
	if (status > WEIR_INVALID || status < WEIR_FAULT || !(errors_of(row, x) >> -status & 1))
		fail_msg("%s: %ld is no answer of its header", what, (long)status);
	if (result.value[0] | result.value[1] | result.value[2])
		fail_msg("%s: it failed, and has results", what);
	if (fake_locks_held())
		fail_msg("%s: it has kept a lock", what);
	return status;
}
