/* An instruction that Weir emulates leaves PSTATE.BTYPE as one that was executed. */
#include "tests/guest/tap.h"

#define GICD_BASE 0x08000000ul
#define BTYPE	  (3ul << 10)

void read_and_break(uint64_t address);
__asm__(".pushsection .text\n"
	"read_and_break:\n" /* on a core with BTI a BLR leads here with a BTYPE that is not 0 */
	"	ldr	w0, [x0]\n"
	"	brk	#0\n"
	"	ret\n"
	".popsection\n");

static uint64_t pstate;

static bool on_break(struct exception *exception)
{
	pstate = exception->pstate;
	exception->pc += 4;
	return true;
}

TEST(an_emulated_access_at_the_target_of_a_branch_leaves_no_btype)
{
	void (*volatile target)(uint64_t) = read_and_break;

	exception_handle(on_break);
	pstate = BTYPE;
	target(GICD_BASE);
	CHECK((pstate & BTYPE) == 0);
}

TESTS = {
	RUN(an_emulated_access_at_the_target_of_a_branch_leaves_no_btype),
};
TESTS_MAIN
