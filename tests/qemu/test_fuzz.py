"""
The fuzzing guest (tests/guest/fuzz.c): two attackers, life after life, beside a keeper and its like whose
work must go on. A minute in `make test`, for as long as one likes in soak mode. What an attacker does in
a life follows from the run's seed; `make soak SEED=that` does it again, though not in the same order
among the vCPUs, which run at the same time.
"""

import re
import subprocess
import sys

import pytest

from conftest import ROOT
from machine import LAST_LINE, Failure, check_tap
from test_guests import BOARDS, board_name, make_disks

# An attacker may end its VM in any way that the architecture has, and says anything.
ALLOWED = [r"^weir: fault: VM attacker[01] ", r"^\[attacker[01]\] guest: "]
USUAL_SECONDS, LONG_SECONDS = 60, 7200
LIVES_MIN = 3  # even on a host that is busy


def make_image(folder, seed, seconds):
    """fuzz.dts with another seed and time."""
    text = (ROOT / "tests/qemu/fuzz.dts").read_text()
    text, seeds = re.subn(r"seed=\d+", f"seed={seed}", text)
    text, times = re.subn(r"run-s=\d+", f"run-s={seconds}", text)
    assert (seeds, times) == (2, 1)
    source, blob = folder / "fuzz.dts", folder / "fuzz.dtb"
    source.write_text(text)
    subprocess.run([sys.executable, ROOT / "tools/weir", "image", source, "-I", ROOT / "build/tests/guest",
                    "-o", blob], check=True)
    return blob


@pytest.mark.soak
@pytest.mark.parametrize("board", BOARDS, ids=board_name)
def test_fuzz(boot, soak, tmp_path, board):
    seconds = max(1, int(soak.seconds(USUAL_SECONDS, LONG_SECONDS) / len(BOARDS)))
    blob = make_image(tmp_path, soak.seed, seconds)
    machine = boot(blob, allowed=ALLOWED, cores=3, limit=soak.limit(600.0),
                   disks=make_disks(tmp_path, 1, {}, {}), **board)
    lines = machine.end()
    check_tap(lines, ["keeper", "above", "honest"])
    assert LAST_LINE in lines
    for attacker in (0, 1):
        lives = [line for line in lines if line.startswith(f"[attacker{attacker}] # life ")]
        if len(lives) < LIVES_MIN:
            raise Failure(f"attacker {attacker} had {len(lives)} lives in {seconds} s")
    if not any(line.endswith("# virtio answers") for line in lines):
        raise Failure("no queue of a virtio device was served in any life")
