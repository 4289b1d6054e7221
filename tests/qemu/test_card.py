"""The SD card of the Raspberry Pi's board: pulled and put back while VMs use it."""

import re
import shutil
import subprocess

import pytest

from machine import LAST_LINE, check_tap
from monitor import Monitor
from test_guests import RPI4, make_disks
from weirlib import qemu

ARASAN = "/soc/mmc@7e300000"  # the slot where QEMU has its card
CARD = "sd0"                  # QEMU's name of it
DO = re.compile(r"^\[asker\] # (pull|insert)( and type)?$")


@pytest.mark.parametrize("seen", [False, True], ids=["no-pin", "pin"])
def test_card_is_pulled_and_put_back(boot, image, tmp_path, seen):
    """On the board the slot has no pin that says whether a card is there; other boards' slots have one."""
    tree = tmp_path / "tree.dtb"
    shutil.copy(qemu.RPI4_TREE, tree)
    if seen:
        subprocess.run(["fdtput", "-d", tree, ARASAN, "non-removable"], check=True)
    card, = make_disks(tmp_path, 1, {}, {})
    with Monitor(stay=False) as monitor:
        machine = boot(image("card"), disks=[card], extra=["-dtb", tree, *monitor.options], **RPI4)
        monitor.connect()
        while (line := machine.line()) is not None:
            match = DO.match(line)
            if match and match[1] == "pull":
                monitor.ask("eject", device=CARD, force=True)
            elif match:
                monitor.ask("blockdev-change-medium", device=CARD, filename=str(card), format="raw")
            if match and match[2]:
                machine.type("\n")
    check_tap(machine.end(), ["asker", "neighbour"])
    assert LAST_LINE in machine.lines
    said = [line for line in machine.lines if line.startswith("weir: mmc@fe300000: ")]
    assert said == 3 * [f"weir: mmc@fe300000: {'the card was taken out' if seen else 'no SD card answers'}"]


def test_without_a_card_the_vms_that_need_none_run(boot, image):
    lines = boot(image("card_absent"), **RPI4).end()
    check_tap(lines, ["good"])
    assert [line for line in lines if line.startswith("weir: m")] == [
        "weir: mmc@fe300000: no SD card answers",
        "weir: mmc@fe340000: no SD card answers",
        "weir: manifest: /disks/card: device: 0 is not there, the machine has 0, numbered from 0; add a disk, or "
        "name another",
        "weir: manifest: /vms/asker: disks: the disk card was refused; correct that"]
    assert LAST_LINE in lines and not [line for line in lines if line.startswith("[asker]")]
