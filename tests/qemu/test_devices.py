"""
Accesses to all registers of all devices of a VM, and drivers of its virtio devices that lie, from four vCPUs at once
(tests/guest/hostile_devices.c), beside victims: a million and more in `make test`, for as long as one likes in soak mode.
`make soak SEED=that` does the same again, though not in the same order among the vCPUs.
"""

import shutil
import subprocess

import pytest

from machine import LAST_LINE, check_tap
from test_guests import BOARDS, VIRT, board_name, make_disks

USUAL_ACCESSES, USUAL_SECONDS, LONG_SECONDS = 250_000, 0, 7200  # of each vCPU
FEW_ACCESSES = 30_000
LATEST_NS = 8000  # a tick of a victim's: as beside the other attackers on a single core


def make_image(image, folder, properties):
    """hostile_devices.dts with other strings and numbers: (node, property) to each."""
    blob = folder / "devices.dtb"
    shutil.copy(image("hostile_devices"), blob)
    for (node, name), value in properties.items():
        kind, values = ("s", [value]) if isinstance(value, str) else ("u", map(str, value))
        subprocess.run(["fdtput", "-t", kind, blob, f"/vms/{node}", name, *values], check=True)
    return blob


def judge(machine):
    lines = machine.end()
    check_tap(lines, ["attacker", "beside", "above", "honest"])
    assert LAST_LINE in lines and "[attacker] # by virtio" in lines


@pytest.mark.soak
@pytest.mark.parametrize("board", BOARDS, ids=board_name)
def test_every_access_ends_and_the_victims_work(boot, image, soak, tmp_path, board):
    seconds = int(soak.seconds(USUAL_SECONDS, LONG_SECONDS) / len(BOARDS))
    accesses = soak.count(USUAL_ACCESSES, USUAL_ACCESSES)
    blob = make_image(image, tmp_path, {
        ("attacker", "bootargs"): f"seed={soak.seed} accesses={accesses} run-s={seconds}"})
    judge(boot(blob, cores=3, limit=soak.limit(600.0), disks=make_disks(tmp_path, 1, {}, {}), **board))


@pytest.mark.parametrize("board", VIRT, ids=board_name)
def test_no_access_keeps_a_victim_waiting(boot, image, soak, tmp_path, board):
    """
    Where time counts instructions, on a machine of one core. With several QEMU runs those in turns that have something to
    do, and when the disk answers, which is the host's affair, another core has something to do, perhaps while a tick is due:
    the tick would wait for that core's turn, and come later than Weir lets it. The most urgent victim has the bound; the
    other one waits for its work, too, which the attacker makes by sharing pages with it.
    """
    vms = "attacker", "beside", "above", "honest"
    blob = make_image(image, tmp_path, {
        **{(vm, "cores"): [0] for vm in vms},
        ("attacker", "bootargs"): f"seed={soak.seed} accesses={FEW_ACCESSES}",
        ("above", "bootargs"): f"place=1 bound-ns={LATEST_NS}"})
    judge(boot(blob, cores=1, icount=True, disks=make_disks(tmp_path, 1, {}, {}), **board))
