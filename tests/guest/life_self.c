/* Manages itself: each life ends in another way. Reports nothing; life.c looks. */
#include "tests/guest/life_manager.h"

#define SYSTEM_RESET 0x84000009u

int main(void)
{
	struct target self = { .name = "selfish" };
	struct weir_vm_info info;

	if (!target_find(&self))
		return 1;
	info = info_of(&self);
	switch (info.starts) {
	case 1:
		weir_vm_restart(info.vm);
		printf("guest: lived on after its restart\n");
		break;
	case 2:
		weir_call(SYSTEM_RESET, 0, 0, 0, 0, 0, 0);
		printf("guest: lived on after its reset\n");
		break;
	case 3:
		weir_vm_stop(info.vm);
		printf("guest: lived on after its stop\n");
		break;
	default:
		break;
	}
	return 0;
}
