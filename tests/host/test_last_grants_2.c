/*
 * test_advisories_grants_2 once more, with the highest id for home instead of the lowest: other locks are let go and
 * taken anew, so there are other gaps.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/grant.c ipc/block.c ipc/upcall.c ipc/manage.c
 * Sources: ipc/port.c ipc/port_source.c core/timeout.c core/base/log.c tests/host/fake/ipc_vms.c
 * Sources: tests/host/fake/ipc_disk.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/lock.c tests/host/fake/panic.c tests/host/ipc_state.c
 */
#define HOME_IS_LAST
#include "grant_vms.c"
#include "test_advisories_grants_2.c"
