/* Gets the handle of a grant that is for another VM, and may not map it. */
#include "tests/guest/grant_commands.h"
#include "tests/guest/tap.h"

TEST(a_grant_for_another_vm_is_denied)
{
	weir_handle port = 0, grant = 0;

	CHECK_IS(weir_port_find(weir_here(), "stranger", &port), WEIR_OK);
	/* It comes when the other two have done all that they do, however long that takes. */
	while (weir_port_peer(port, &grant, NULL) == WEIR_OK && !grant)
		event_wait(port, TASK_FOREVER);
	CHECK_IS(weir_grant_map(port, grant, 0, NULL, NULL), WEIR_DENIED);
	CHECK(weir_grant_revoke(grant) != WEIR_OK);
	CHECK_IS(weir_port_publish(port, COMMAND_DONE), WEIR_OK);
}

TESTS = {
	RUN(a_grant_for_another_vm_is_denied),
};
TESTS_MAIN
