"""The console: nothing that VMs print is lost or mixed, and typing reaches the VM with the right."""

import pytest

from machine import check_tap
from test_guests import BOARDS, board_name

LINES = 400


@pytest.mark.parametrize("board", BOARDS, ids=board_name)
def test_typing(boot, image, board):
    machine = boot(image("typed"), **board)
    machine.wait_for(r"^\[second\] # type$")
    machine.type("the quick brown fox\n")
    check_tap(machine.end(), ["first", "second"])


@pytest.mark.parametrize("board", BOARDS, ids=board_name)
def test_flood(boot, image, board):
    lines = boot(image("flood"), **board).end()
    check_tap(lines, ["one", "two", "three"])
    for name in ("one", "two", "three"):
        mine = [line for line in lines if line.startswith(f"[{name}] line ")]
        assert mine == [f"[{name}] line {i} of {LINES}: the quick brown fox jumps over the lazy dog"
                        for i in range(LINES)]
    assert not [line for line in lines if not line.startswith(("[", "weir: "))]
