"""The monitor: reached while a VM floods the console, it shows and commands the VMs."""

import random
import re
import time

import pytest

from test_guests import BOARDS, board_name, make_disks

KEY = "\x1d"
USE = re.compile(r"^weir: (\w+): run (\d+) ms, steal (\d+) ms, (\d+) hypercalls, (\d+) events, "
                 r"(\d+) block requests of (\d+) KiB in (\d+) ms$")
EXITS = re.compile(r"^weir: \w+: exits: PSCI (\d+), MMIO (\d+), aborts (\d+), registers (\d+), "
                   r"waits (\d+), FP (\d+), interrupts (\d+), other (\d+)$")


class Console:
    """A machine and who types at it. The monitor is open between two calls."""

    def __init__(self, machine):
        self.machine = machine

    def command(self, command, answer):
        """The match of the answer's first line."""
        self.machine.type(command + "\r")
        return self.machine.wait_for(answer)

    def until(self, command, answer, otherwise="^weir: 2 twins: .*"):
        """Gives a command until the answer has the line, and not only the other one."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            match = self.command(command, f"{answer}|{otherwise}")
            if re.search(answer, match.string):
                return
            time.sleep(0.05)  # a VM ends in its own time
        raise AssertionError(f"{command} never says {answer}")

    def use(self, vm):
        """What the statistics say: (run, steal, hypercalls, events, requests, KiB), aborts."""
        use = self.command(f"statistics {vm}", USE)
        exits = self.machine.wait_for(EXITS)
        assert use[1] == vm
        return [int(use[i]) for i in range(2, 8)], int(exits[3])

    def tell(self, vm, key, answer):
        """Types a key at a VM and comes back when the VM has answered."""
        self.machine.type(f"{vm}\r{key}")
        self.machine.wait_for(answer)
        self.machine.type(KEY)


def stop_the_floods(console):
    """While two flood."""
    console.command("stop flood", "^weir: flood is (dying|off)$")
    console.command("stop twins", "^weir: twins is (dying|off)$")
    console.until("list", "^weir: 1 flood: off, started 1 times, priority 3, cores 1$")
    console.until("list", "^weir: 2 twins: off, started 1 times, priority 1, cores 0,1$")
    console.command("list", "^weir: 0 counter: running, started 1 times, priority 4, cores 0, "
                            "has the input$")


def check_counts(console):
    """Exactly what the VM did is counted."""
    before, aborts = console.use("counter")
    for key in "heba":
        console.tell("counter", key, rf"^\[counter\] did {key}$")
    after, more_aborts = console.use("counter")
    gained = [new - old for new, old in zip(after, before)]
    assert 0 < gained[0] < 600_000  # ms
    assert gained[2] == 1000 + 500 + 20
    assert gained[3] == 500
    assert gained[4:] == [20, 80]
    assert more_aborts - aborts == 7
    assert console.use("flood")[0][3:5] == [0, 0]


def check_sums(machine):
    """Two vCPUs, and the sum of both."""
    machine.type("statistics twins\r")
    assert USE.match(machine.wait_for("^weir: twins: run .*")[0])
    machine.wait_for("^weir: twins vCPU 0: run ")
    machine.wait_for("^weir: twins vCPU 1: exits: ")


def end_and_begin(console):
    """Life and death."""
    console.command("start counter", "^weir: counter is not off: it is running$")
    console.command("start flood", r"^\[flood\] line 10, ")  # it may be faster than the answer
    console.command("restart flood", r"^\[flood\] line 0, ")
    console.command("stop flood", "^weir: flood is (dying|off)$")
    console.command("restart counter", r"^\[counter\] ready$")
    console.until("list", "^weir: 1 flood: off, started 3 times, ")
    console.command("restart flood", r"^\[flood\] line 10, ")  # from off: it starts
    console.command("stop 1", "^weir: flood is (dying|off)$")


def type_nonsense(console, machine):
    """What nobody understands."""
    console.command("stop nobody", "^weir: no VM has the name or number nobody; list shows them$")
    console.command("restart 3", "^weir: no VM has the name or number 3; list shows them$")
    console.command("frobnicate now", "^weir: no command and no VM: frobnicate; help shows")
    console.command("x" * 1000, "^weir: no command and no VM: x{58}; help shows")
    noise = random.Random(1)
    typeable = sorted(set(range(0x80)) - {ord(KEY), 1})  # Ctrl-A is QEMU's
    garbage = "".join(chr(noise.choice(typeable)) for _ in range(2000))
    machine.type(garbage + "\r\x15")
    console.command("help", "^weir: list: the VMs")


@pytest.mark.parametrize("board", BOARDS, ids=board_name)
def test_monitor(boot, image, tmp_path, board):
    machine = boot(image("monitor"), disks=make_disks(tmp_path, 1, {}, {}), **board)
    console = Console(machine)
    machine.wait_for(r"^\[flood\] line 10, ")
    machine.type(KEY)

    stop_the_floods(console)
    check_counts(console)
    check_sums(machine)
    end_and_begin(console)
    type_nonsense(console, machine)

    # The key once more gives the input to the next VM.
    machine.type(KEY)
    machine.wait_for("^weir: what is typed goes to flood; ")
    machine.type(KEY)
    machine.type("0\rq")
    machine.wait_for(r"^\[counter\] did q$")
    assert "weir: all VMs are off, powering off" in machine.end()
