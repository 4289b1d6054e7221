"""
The test guests: one image is one test. Every tests/qemu/NAME.dts that no other file tests runs on
all boards, and every VM in it reports TAP, except where SETTINGS says otherwise.
"""

import pathlib
import re
import shutil
import subprocess

import pytest

from machine import LAST_LINE, Failure, check_tap, failing_disk, slow_disk
from weirlib import dts

VIRT = [dict(cpu="cortex-a72", gic=2), dict(cpu="max", gic=3)]
RPI4 = dict(board="rpi4")
BOARDS = [*VIRT, RPI4]
# Images with tests of their own.
ELSEWHERE = {"boot", "card", "card_absent", "cores", "typed", "flood", "fuzz", "hostile_devices", "delay", "prompt", "monitor",
             "comm_storm", "life_many", "life_random", "life_one_core", "event_race", "partition", "psci_storm",
             "psci_storm_alone"}
NAMES = sorted({path.stem for path in pathlib.Path(__file__).parent.glob("*.dts")} - ELSEWHERE)


def fault_of(vm, status=r"translation fault, level \d", address=0x20000200, place="nothing; the nearest",
             vcpu="0"):
    """The three lines about a VM whose exception vectors cannot be fetched."""
    head = f"^weir: fault: VM {vm} vCPU {vcpu}: "
    return [rf"{head}its exception vectors are not executable memory$",
            rf"{head}instruction abort \({status}\) PC {address:016x} PSTATE \w+ ESR \w+$",
            rf"{head}FAR {address:016x} IPA {address:010x}: {place}"]


# Where the vectors of a VM of fault.dts are, and what the report says is there.
BAD_PLACES = {
    "bad": {},
    "bad-distributor": dict(address=0x08000200, place="0x200 bytes into the GIC distributor$"),
    "bad-uart": dict(address=0x09000200, place="0x200 bytes into the UART$"),
    "bad-shared": dict(address=0x0e000200, place="0x200 bytes into Weir's shared pages$",
                       status="permission fault, level 3"),
    "bad-window": dict(address=0x10000200, place="0x200 bytes into the grant window$"),
    "bad-beyond": dict(address=0x80000200,
                       place="nothing; the nearest is the shareable pool, 0x3ff00201 bytes below$"),
}
FAULTS = [line for vm, what in BAD_PLACES.items() for line in fault_of(vm, **what)]
BAD = fault_of("bad")
PHOENIX = [*fault_of("phoenix"), "^weir: phoenix starts again$"]

OWNER = ["^weir: owner starts again$"]

ATTACKER = ["^weir: fault: VM attacker ", "^weir: attacker starts again$"]

# The VMs of life.dts that report nothing; most of them fault now and then.
FAULTING = fault_of("(low|equal|high|other|both|halts)", vcpu="[01]")
LIVES = ["second", "selfish", "low", "equal", "high", "other", "both", "halts"]

# How the disks of block_error.dts fail: tests/guest/block_error.h.
DISK_ERRORS = {
    0: [dict(iotype="read", sector=700), dict(iotype="write", sector=1100)],
    1: [dict(iotype="flush", once="on")],
}

SETTINGS = {
    "begin": dict(silent=["anew"], expected=["^weir: anew starts again$", r"^\[anew\] each life began with registers"]),
    "channel": dict(silent=["mortal"], expected=["^weir: mortal starts again$"]),
    "comm": dict(silent=["mortal"], expected=["^weir: mortal starts again$", "^weir: core 1 communicates, for 3 vCPUs$"]),
    "comm_two": dict(silent=["mortal"], cores=4, expected=["^weir: mortal starts again$"]),
    "comm_flood": dict(icount=True, cores=3),
    "comm_budget": dict(icount=True, cores=3, silent=["copies"]),
    "comm_none": dict(silent=["mortal"], expected=["^weir: mortal starts again$"]),
    "mqueue": dict(silent=["s0", "s1", "s2", "s3"], expected=["^weir: s2 starts again$", "^weir: s3 starts again$"]),
    "fault": dict(silent=BAD_PLACES, allowed=FAULTS, expected=FAULTS),
    "block": dict(disks=2),
    "virtio": dict(disks=2, expected=[r"^\[user\] # by virtio$"]),
    # What these promise about time would not hold on a host that is busy: time counts instructions.
    "runtime": dict(icount=True),
    "sched": dict(icount=True),
    "pmu": dict(icount=True),
    "budget": dict(icount=True),
    "restart_large": dict(icount=True, silent=["large"], expected=["^weir: large starts again$"]),
    "block_error": dict(disks=2, errors=DISK_ERRORS),
    "hostile_access": dict(icount=True, cores=3),
    "hostile_calls": dict(icount=True, cores=3, disks=1),
    "hostile_calls_disk": dict(cores=3, disks=1),
    "hostile_liar": dict(cores=5, disks=1),
    "hostile_psci": dict(icount=True, cores=3),
    "hostile_psci_cores": dict(cores=3),
    "hostile_registers": dict(icount=True, cores=3),
    "hostile_self": dict(icount=True, cores=3, allowed=ATTACKER, expected=ATTACKER),
    "hostile_self_all": dict(cores=3, allowed=ATTACKER, expected=ATTACKER),
    "hostile_storm": dict(icount=True, cores=3),
    "hostile_storm_cores": dict(cores=3),
    "passthrough_rtc": dict(expected=OWNER),
    "passthrough_timer": dict(expected=OWNER),
    "ring_again": dict(silent=["mortal"], expected=["^weir: mortal starts again$"]),
    "pinned": dict(silent=["other"], disks=1),
    "piece": dict(silent=["mortal"], expected=["^weir: mortal starts again$"]),
    "restart": dict(silent=["phoenix"], disks=1, allowed=PHOENIX, expected=PHOENIX),
    "port": dict(silent=["mortal"], disks=1),
    "submit": dict(silent=["peer"], disks=1),
    "submit_comm": dict(silent=["peer"], disks=1),
    "store": dict(silent=["server"], expected=["^weir: server starts again$"]),
    "store_steps": dict(icount=True, silent=["urgent", "second", "third", "fourth", "fifth"]),
    # A disk so slow that its requests are still in flight when a VM ends. (An SD card is that by itself, and QEMU
    # would wait for a slow one with all cores.)
    "life": dict(silent=LIVES, disks=1, slow={0: 2000}, allowed=FAULTING, expected=FAULTING),
    "life_build": dict(silent=["large", "far", "too-large"], icount=True,
                       expected=["^weir: manifest: /vms/too-large: memory-mib: "]),
    "stop_machine": dict(silent=["bad", "good"], allowed=BAD, expected=BAD,
                         last="weir: bad faulted and its on-fault is stop-machine: powering off"),
}

# The Raspberry Pi has four cores and one SD card, which in QEMU keeps an error of its file to itself.
NOT_ON_RPI4 = {"block_error", "hostile_liar", "passthrough_rtc", "direct"}
ONLY_ON_RPI4 = {"passthrough_timer"}
ONLY_ON_GICV3 = {"vcpus_16"}
SECTORS = 8192  # of each disk


def make_disks(folder, count, errors, slow):
    """
    Disks of 4 MiB; each sector starts with its number, and the disk's in the next word. `errors` are
    rules of failing_disk() by disk, `slow` requests in a second.
    """
    disks = []
    for disk in range(count):
        path = folder / f"disk{disk}.img"
        with open(path, "wb") as file:
            for sector in range(SECTORS):
                file.write(sector.to_bytes(8, "little") + disk.to_bytes(8, "little") + bytes(496))
        disks.append(failing_disk(path, *errors[disk]) if disk in errors else
                     slow_disk(path, slow[disk]) if disk in slow else path)
    return disks


def join_disks(folder, blob, disks):
    """For a board with one card: it has the disks one behind the other, and a copy of the image says so."""
    card, copy = folder / "card.img", folder / blob.name
    card.write_bytes(b"".join(disk.read_bytes() for disk in disks))
    shutil.copy(blob, copy)
    for node in dts.load_blob(str(blob)).child("disks").children:
        device, first, sectors = (node.props[name].cells()[0] if name in node.props else usual for name, usual
                                  in (("device", 0), ("first-sector", 0), ("sectors", SECTORS)))
        for name, value in ("device", 0), ("first-sector", first + device * SECTORS), ("sectors", sectors):
            subprocess.run(["fdtput", copy, f"/disks/{node.name}", name, str(value)], check=True)
    return copy, [card]


def runs():
    """Each image on each board that can run it."""
    return [(name, board) for name in NAMES for board in BOARDS
            if name not in (NOT_ON_RPI4 if "board" in board else ONLY_ON_RPI4)
            and (name not in ONLY_ON_GICV3 or board.get("gic") == 3)]


def board_name(board):
    return board.get("board") or f"{board['cpu']}-gic{board['gic']}"


def id_of(value):
    return value if isinstance(value, str) else board_name(value)


@pytest.mark.parametrize("name, board", runs(), ids=id_of)
def test_guest(boot, image, tmp_path, name, board):
    settings = SETTINGS.get(name, {})
    blob = image(name)
    vms = [vm.name for vm in dts.load_blob(str(blob)).child("vms").children]
    disks = make_disks(tmp_path, settings.get("disks", 0), settings.get("errors", {}),
                       settings.get("slow", {}) if "board" not in board else {})
    if "board" in board and len(disks) > 1:
        blob, disks = join_disks(tmp_path, blob, disks)
    machine = boot(blob, allowed=settings.get("allowed", ()), cores=settings.get("cores", 2), disks=disks,
                   icount=settings.get("icount", False), **board)
    lines = machine.end()
    check_tap(lines, [vm for vm in vms if vm not in settings.get("silent", ())])
    assert [line for line in lines if not line.startswith(("[", "qemu"))][-1] == settings.get("last", LAST_LINE)
    for expression in settings.get("expected", ()):
        if not any(re.search(expression, line) for line in lines):
            raise Failure(f"no line matches {expression!r}")
