"""
Sends with both ends racing, while ports are masked, bound elsewhere, closed and opened again, and a third VM
starts again and again.
"""

import re
import shutil
import subprocess

import pytest

from machine import LAST_LINE, check_tap
from test_guests import BOARDS, board_name

SENDS = 2000000  # of both together
FEWER = {"max-gic3": 10, "rpi4": 10}  # make test goes the whole length on one board


@pytest.mark.soak
@pytest.mark.parametrize("board", BOARDS, ids=board_name)
def test_no_send_is_lost_when_both_ends_race(boot, image, tmp_path, soak, board):
    sends = soak.count(SENDS // FEWER.get(board_name(board), 1), 200000000)
    blob = tmp_path / "event_race.dtb"
    shutil.copy(image("event_race"), blob)
    for vm in ("one", "two"):
        subprocess.run(["fdtput", "-t", "s", blob, f"/vms/{vm}", "bootargs", f"sends={sends // 2}"], check=True)
    machine = boot(blob, cores=2, **board)
    lines = machine.end()
    check_tap(lines, ["one", "two"])
    assert LAST_LINE in lines
    assert "weir: mortal starts again" in lines
    counts = [int(match[1]) for match in map(re.compile(r"\[\w+\] # (\d+) sends;").match, lines) if match]
    assert len(counts) == 2 and sum(counts) >= sends
