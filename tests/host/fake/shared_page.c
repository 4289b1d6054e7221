/*
 * A page that a guest writes while EL2 looks at it (fake.h). The page is taken away; an access faults, is let
 * through alone, by one step of the processor, and then the page is gone again and what was read is another.
 */
#define _GNU_SOURCE /* the names of the processor's registers */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include "fake.h"

static struct {
	u8 *page;
	u64 at; /* the access that is let through */
	bool write;
	u8 reads[PAGE_SIZE];
	u32 most, writes, accesses;
} watch;

#ifdef __x86_64__
#include <ucontext.h>

#define ERROR_WRITE 2
#define FLAG_STEP   0x100

static void faulted(int signal, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

	watch.at = (u64)info->si_addr - (u64)watch.page;
	if (!watch.page || watch.at >= PAGE_SIZE) {
		sigaction(signal, &(struct sigaction){ .sa_handler = SIG_DFL }, 0);
		return;
	}
	watch.write = registers[REG_ERR] & ERROR_WRITE;
	mprotect(watch.page, PAGE_SIZE, PROT_READ | PROT_WRITE);
	registers[REG_EFL] |= FLAG_STEP;
}

static void stepped(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	watch.accesses++;
	watch.writes += watch.write;
	if (!watch.write && ++watch.reads[watch.at] > watch.most)
		watch.most = watch.reads[watch.at];
	watch.page[watch.at] ^= 0xff; /* the guest writes something else */
	mprotect(watch.page, PAGE_SIZE, PROT_NONE);
	((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~FLAG_STEP;
}

bool fake_page_watch(void *page)
{
	struct sigaction fault = { .sa_sigaction = faulted, .sa_flags = SA_SIGINFO },
			 step = { .sa_sigaction = stepped, .sa_flags = SA_SIGINFO };

	memset(&watch, 0, sizeof(watch));
	watch.page = page;
	sigaction(SIGSEGV, &fault, 0);
	sigaction(SIGTRAP, &step, 0);
	return mprotect(page, PAGE_SIZE, PROT_NONE) == 0;
}
#else
bool fake_page_watch(void *page)
{
	(void)page;
	return false;
}
#endif

struct fake_page_accesses fake_page_release(void)
{
	if (watch.page)
		mprotect(watch.page, PAGE_SIZE, PROT_READ | PROT_WRITE);
	watch.page = 0;
	return (struct fake_page_accesses){ watch.accesses, watch.most, watch.writes };
}
