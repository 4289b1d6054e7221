/*
 * The runtime of a bare-metal guest: all that a guest of one page needs.
 *
 * A guest defines `int main(void)`; it runs on the first vCPU, as that vCPU's first task, with MMU,
 * caches and interrupts on. When it returns, the VM powers off. main's stack is 12 KiB, that of the
 * handlers 4 KiB (guest.lds).
 *
 * Contexts. A *task* runs at EL1 with SP_EL0 and may wait. A *handler* (of an interrupt, event,
 * upcall or timer) runs with interrupts masked on the vCPU's own interrupt stack; it may call all
 * that is here but the functions that wait: task_*, event_wait*, block_wait, block_run.
 *
 * Tasks belong to the vCPU that created them; nothing of one vCPU is locked against another, but
 * the console and the page allocator.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weir/block.h>
#include <weir/channel.h>
#include <weir/event.h>
#include <weir/grant.h>
#include <weir/mqueue.h>
#include <weir/page_ring.h>
#include <weir/upcall.h>

#ifdef __cplusplus
extern "C" {
#endif

int main(void);

/*
 * Console: the PL011. printf knows %s %d %i %u %x %X %p %c %%, the sizes h hh l ll z, a width, and
 * the flags 0 and -. One call's output stays together. Source: printf.c, uart.c
 */
int printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
int vprintf(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));
void uart_put(char c);
int uart_get(void); /* -1: nothing was typed */

void *memcpy(void *to, const void *from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int byte, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t bytes);

/*
 * Memory: whole zeroed pages of the VM's private RAM behind the image, never given back. 0 if there
 * are not so many. Source: memory.c
 */
#define PAGE_SIZE 4096u
void *memory_pages(size_t count);

/* vCPUs. Source: cpu.c, start.S */
#define CPUS_MAX 16u
uint32_t cpu_index(void);
/*
 * Starts another vCPU in `run`; when that returns, the vCPU turns itself off. PSCI's status, 0: done. Its stacks
 * are three pages of memory_pages(), taken at its first start.
 */
int64_t cpu_start(uint32_t index, void (*run)(void *arg), void *arg);
void power_off(void) __attribute__((noreturn));

static inline uint64_t irq_save(void)
{
	uint64_t flags;

	__asm__ volatile("mrs %0, daif\n\tmsr daifset, #2" : "=r"(flags)::"memory");
	return flags;
}

static inline void irq_restore(uint64_t flags)
{
	__asm__ volatile("msr daif, %0" ::"r"(flags) : "memory");
}

/*
 * Interrupts. The handler is called on whichever vCPU takes the interrupt, between acknowledge and
 * end of interrupt. irq_handle also enables the interrupt: an SGI or PPI (below 32) on the calling
 * vCPU, an SPI with vCPU 0 as its target. fn = 0 disables. Source: gic.c
 */
#define IRQS_MAX 288u
void irq_handle(uint32_t intid, void (*fn)(uint32_t intid, void *arg), void *arg);
void irq_send(uint32_t cpu, uint32_t sgi);
uint32_t gic_version(void); /* 2 or 3 */

/*
 * Exceptions. One that nobody handles prints a report and powers off. The handler says true if the
 * guest is to go on at `pc`. Source: exception.c
 */
struct exception {
	uint64_t x[31];
	uint64_t sp, pc, pstate;
	uint64_t syndrome, address; /* ESR_EL1, FAR_EL1 */
};
void exception_handle(bool (*fn)(struct exception *exception));

/*
 * Time is the virtual counter. One timer per vCPU: `fn` is called once, when the counter has
 * reached `ticks`; setting it again replaces it. Tasks that wait with a deadline do not need it.
 * Source: timer.c
 */
uint64_t timer_now(void);
uint64_t timer_frequency(void);
uint64_t timer_ticks(uint64_t ns);
uint64_t timer_ns(uint64_t ticks);
void timer_set(uint64_t ticks, void (*fn)(void *arg), void *arg);

/*
 * Tasks: cooperative, in turn. A task waits for a condition, which is looked at with interrupts
 * masked, by whichever task is about to give up the vCPU: it must be short and must not wait. When
 * no condition of the vCPU holds it sleeps in WFI until the next interrupt. Source: task.c
 */
typedef bool (*task_condition)(void *arg);

struct task {
	struct task *next; /* of this vCPU, a circle */
	uint64_t sp;
	uint64_t *stack_end; /* holds a mark that an overflow destroys */
	task_condition ready;
	void *arg;
	uint64_t deadline; /* in ticks; 0: none */
	bool done;
};

#define TASK_FOREVER 0u

/* The stack is 16-byte aligned; both it and the struct stay the task's until `done`. */
void task_create(struct task *task, void (*run)(void *arg), void *arg, void *stack, size_t bytes);
void task_yield(void);
/* Waits until ready(arg), or until the counter reaches `deadline`; says whether it is ready. */
bool task_wait(task_condition ready, void *arg, uint64_t deadline);
void task_sleep(uint64_t ns);
void task_join(struct task *task);

/*
 * Weir. All of it is set up before main: `weir_present` says whether there is a Weir at all; if
 * not, nothing below may be called. Source: weir.c
 */
bool weir_present(void);
struct weir_pages *weir_here(void); /* the calling vCPU's pages */

/* For messages: "I/O error". */
const char *status_text(enum weir_status status);

struct region {
	uint8_t *base;
	uint64_t bytes;
};
struct region weir_region(enum weir_region which);

/*
 * Events. `fn` is called in a handler for each event of the port on the vCPU that it is bound to
 * (vCPU 0 unless weir_port_bind was called). event_wait returns when an event has come since the
 * last event_wait of this port, or at the deadline (false); event_wait_any when there was one of any
 * of these ports: `which` of them, the first if there were several. Nobody else waits for the port
 * meanwhile. event_close closes a port that was opened by call, whose number may be another's then.
 * The first event or wait of a port may take a page of memory (for 128 of them).
 */
#define PORTS_MAX 8192u
void event_handle(weir_handle port, void (*fn)(weir_handle port, void *arg), void *arg);
bool event_wait(weir_handle port, uint64_t deadline);
bool event_wait_any(const weir_handle *ports, uint32_t count, uint64_t deadline, uint32_t *which);
enum weir_status event_close(weir_handle port);

/*
 * Channels: weir_channel_open (weir/channel.h) with all that it takes. Tasks wait for the channel, others
 * run meanwhile; the pages come out of memory_shared(). The channel's other functions are those of
 * weir/channel.h. Source: channel.c
 */
enum weir_status channel_open(struct weir_channel *channel, const char *name);
/* The same of weir/page_ring.h. */
enum weir_status page_ring_open(struct weir_page_ring *ring, const char *name);
/* What they wait by: for who opens a channel another way. */
bool channel_wait(struct weir_channel *channel);
/* The pages of pool and window that nobody has taken yet. */
struct weir_space *memory_shared(void);

/*
 * Message queues (weir/mqueue.h): inbox_make sets up an inbox without lanes, of which tasks of the calling vCPU
 * receive. inbox_offer publishes it in the store, up to 8 of them; sender_join joins the one of "vm/name", and waits for
 * it. inbox_add and sender_open are the same by a channel of the manifest. All other functions are those of
 * weir/mqueue.h. The VM's port of kind WEIR_PORT_STORE is this library's then. Source: mqueue.c
 */
void inbox_make(struct weir_inbox *inbox, struct weir_lane *lanes, uint32_t count);
enum weir_status inbox_offer(struct weir_inbox *inbox, const char *name);
enum weir_status sender_join(struct weir_sender *sender, const char *path);
enum weir_status inbox_add(struct weir_inbox *inbox, const char *name);
enum weir_status sender_open(struct weir_sender *sender, const char *name);

/*
 * Block requests. The caller fills in the first group; the struct and the buffer belong to the
 * request until `done`, which is set on the vCPU that started it, before `finished` is called there
 * in a handler (0: no call).
 */
struct block_request {
	uint32_t disk;
	enum weir_block_operation operation;
	uint64_t sector, sectors;
	void *buffer;
	void (*finished)(struct block_request *request);
	void *arg; /* for `finished`, the library does not look at it */

	enum weir_status status;
	bool done;
};

/* Starts it at once or says why not (WEIR_AGAIN and WEIR_QUOTA: later). */
enum weir_status block_start(struct block_request *request);
/* Waits until it has ended. */
enum weir_status block_wait(struct block_request *request);
/* Starts it, waiting for room if there is none. */
enum weir_status block_submit(struct block_request *request);
/* block_submit and block_wait. */
enum weir_status block_run(struct block_request *request);

/*
 * Upcalls: offers a service on the calling vCPU; `fn` is called in a handler. WEIR_SERVICE_PING is
 * offered along with the first one, and needs no fn (0).
 */
enum weir_status upcall_handle(enum weir_service service,
			       enum weir_status (*fn)(const uint64_t *argument, uint64_t *reply));

#ifdef __cplusplus
}
#endif
