/* A VM that is there and does nothing while others are measured, for what must cost the same with many of them. */
#include "guests/lib/runtime.h"

int main(void)
{
	task_sleep(5000000000);
	return 0;
}
