"""
The split driver of guests/kv, by a message queue and by raw rings: both do the same, also when a front end dies in
the middle; and how many lines each takes, which guests/README.md says.
"""

import re

import pytest

from conftest import ROOT, existing
from machine import LAST_LINE, Failure
from test_guests import BOARDS, board_name

FOLDER = ROOT / "guests/kv"
# What makes each: what both have is not counted.
SOURCES = {"queue": ["queue_front.c", "queue_back.c"], "rings": ["rings_front.c", "rings_back.c", "rings.h"]}
SHARED = ["kv.h", "table.h", "exercise.h"]
# Two front ends; the second one's first life asked for two things and made half of its rounds of five.
EXPECTED = ["[front0] 1003 requests, 0 wrong, 0 asked again", "[front1] 1003 requests, 0 wrong, 0 asked again",
            "[back] 2508 requests served"]


def lines_of(name):
    """Lines of code: without comments, and what is empty then."""
    text = re.sub(r"/\*.*?\*/", "", (FOLDER / name).read_text(), flags=re.DOTALL)
    return sum(1 for line in text.splitlines() if line.strip())


def test_the_lines_of_both_are_those_of_the_readme():
    counted = {form: sum(map(lines_of, names)) for form, names in SOURCES.items()}
    assert sorted(path.name for path in FOLDER.glob("*.[ch]")) == sorted(sum(SOURCES.values(), SHARED))
    said = re.search(r"by a queue in (\d+) lines of code and by\s+raw rings in (\d+)",
                     (ROOT / "guests/README.md").read_text())
    assert said, "guests/README.md does not say how many lines each takes"
    assert {"queue": int(said[1]), "rings": int(said[2])} == counted
    assert counted["queue"] * 3 < counted["rings"]


@pytest.mark.parametrize("form", SOURCES)
@pytest.mark.parametrize("board", BOARDS, ids=board_name)
def test_kv(boot, board, form):
    lines = boot(existing(ROOT / f"build/guests/kv/{form}.dtb"), **board).end()
    assert LAST_LINE in lines
    assert "weir: front1 starts again" in lines
    said = sorted(line for line in lines if line.startswith("["))
    if said != sorted(EXPECTED):
        raise Failure(f"the VMs said {said}")
