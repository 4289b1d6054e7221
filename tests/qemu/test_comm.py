"""Commands of the monitor and faults of VMs while a communication core takes their commands."""

import time

import pytest

from test_guests import BOARDS, board_name
from test_monitor import KEY, Console

STORM = r"^\[storm\] it storms$"
FAULTS = [r"^weir: fault: VM faulty vCPU 0: ", "^weir: faulty starts again$"]
RING = (r"^weir: storm: ring: (\d+) events, 0 block requests, (\d+) copies of (\d+) KiB, "
        r"(\d+) us of communication cores$")


@pytest.mark.parametrize("board", BOARDS, ids=board_name)
def test_vms_are_commanded_and_fault_while_their_rings_are_served(boot, image, board):
    machine = boot(image("comm_storm"), allowed=FAULTS, **board)
    console = Console(machine)
    machine.wait_for("^weir: core 0 communicates, for 3 vCPUs$")
    machine.wait_for(STORM)
    machine.wait_for(FAULTS[1])
    machine.type(KEY)
    console.command("list", "^weir: 0 storm: running, ")
    for life in range(1, 11):
        console.command("restart storm", STORM)
        console.command("list", rf"^weir: 0 storm: running, started {life + 1} times, ")

    # Its work is its own.
    first, now = console.command("statistics storm", RING), None
    end = time.monotonic() + 60
    while not now or any(int(now[i]) <= int(first[i]) for i in range(1, 5)):
        assert time.monotonic() < end, "its ring is not served"
        now = console.command("statistics storm", RING)

    machine.wait_for(FAULTS[1])
    console.command("stop storm", "^weir: storm is (dying|off)$")
    machine.wait_for(FAULTS[1])  # the other goes on
    console.until("list", "^weir: 0 storm: off, ", otherwise="^weir: 0 storm: ")
    console.command("start storm", STORM)
    console.command("stop storm", "^weir: storm is (dying|off)$")
    console.command("stop faulty", "^weir: faulty is (dying|off)$")
    assert "weir: all VMs are off, powering off" in machine.end()
