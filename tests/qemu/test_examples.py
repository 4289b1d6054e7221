"""The examples of guests/examples: each runs, does what it says, and ends."""

import pathlib

import pytest

from conftest import ROOT, existing
from machine import LAST_LINE, Failure
from test_guests import BOARDS, board_name

FOLDER = ROOT / "guests/examples"
# What each VM prints, all of it.
EXPECTED = {
    "signal": ["[ringer] rang 100 times", "[hearer] heard the bell until it had rung 100 times"],
    "record_stream": ["[source] sent 10000 records, sum 127771760", "[sink] received 10000 records, sum 127771760"],
    "page_stream": ["[source] passed 1000 records, sum 259835904000", "[sink] received 1000 records, sum 259835904000"],
    "request_response": ["[client] 100 of 100 answers are right", "[server] gave 100 answers"],
}


def test_each_example_is_run_here():
    assert {path.stem for path in FOLDER.glob("*.dts")} == set(EXPECTED)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.c")), ids=lambda path: path.name)
def test_an_example_is_a_page(path):
    assert len(pathlib.Path(path).read_text().splitlines()) <= 60


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("board", BOARDS, ids=board_name)
def test_example(boot, board, name):
    lines = boot(existing(ROOT / f"build/guests/examples/{name}.dtb"), **board).end()
    assert LAST_LINE in lines
    said = sorted(line for line in lines if line.startswith("["))
    if said != sorted(EXPECTED[name]):
        raise Failure(f"the VMs said {said}")
