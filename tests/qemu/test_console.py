"""The console: nothing that VMs print is lost, mixed or late, and typing reaches the VM with the right."""

import pathlib
import re
import subprocess

import pytest

from machine import Machine, check_tap
from test_guests import BOARDS, VIRT, board_name

LINES = 400


@pytest.mark.parametrize("board", BOARDS, ids=board_name)
def test_typing(boot, image, board):
    machine = boot(image("typed"), **board)
    machine.wait_for(r"^\[second\] # type$")
    machine.type("the quick brown fox\n")
    check_tap(machine.end(), ["first", "second"])


def flooded(name):
    return [f"[{name}] line {i} of {LINES}: the quick brown fox jumps over the lazy dog" for i in range(LINES)]


def without_parts(lines):
    """
    The lines without the parts that were shown before their end (core/vdev/vuart.c): each begins the VM's
    next line, and another VM's line broke it off.
    """
    whole, later = [], {}
    for at in reversed(range(len(lines))):
        name = lines[at].partition("]")[0]
        after = lines[at + 1] if at + 1 < len(lines) else ""
        part = re.match(r"\[.*\] .", lines[at]) and later.get(name, "").startswith(lines[at])
        if part and not after.startswith(name):
            continue
        later[name] = lines[at]
        whole.insert(0, lines[at])
    return whole


@pytest.mark.parametrize("board", BOARDS, ids=board_name)
@pytest.mark.parametrize("icount", [True, False], ids=["icount", "parallel"])
def test_flood(boot, image, board, icount):
    """
    Cores that run at the same time get as far as the host lets them: one that it holds up at each byte for
    most of a second looks as silent as a VM that waits behind a prompt, and a part of its line is shown.
    Where instructions are time, there is none.
    """
    lines = boot(image("flood"), icount=icount, **board).end()
    check_tap(lines, ["one", "two", "three"])
    shown = lines if icount else without_parts(lines)
    for name in ("one", "two", "three"):
        assert [line for line in shown if line.startswith(f"[{name}] line ")] == flooded(name)
        assert len([line for line in shown if line.startswith(f"[{name}]")]) == LINES + 3
    assert not [line for line in lines if not line.startswith(("[", "weir: ", "qemu-system-aarch64: warning: "))]


@pytest.mark.parametrize("board", VIRT, ids=board_name)  # on a single core
def test_a_flood_does_not_delay_another_vm(boot, image, board):
    lines = boot(image("delay"), icount=True, cores=1, **board).end()
    latest, delays = 0, []
    for line in lines:
        if match := re.match(r"\[flood\] stamp (\d+): ", line):
            latest = int(match[1])
        elif match := re.match(r"\[urgent\] mark (\d+): ", line):
            delays.append(latest - int(match[1]))
    assert len(delays) == 40
    assert latest, "the flood printed nothing"
    assert max(delays) < 0  # nothing that the flood began after the mark came before it


@pytest.mark.parametrize("board", BOARDS, ids=board_name)
def test_prompt(boot, image, board):
    machine = boot(image("prompt"), **board)
    machine.wait_for_part(r"\[shell\] login: ")
    machine.type("mx")
    machine.wait_for_part(r"\[shell\] login: mx")
    machine.type("\x7fe")
    machine.wait_for_part(r"\[shell\] login: mx(\x08 \x08 ?)+e")
    machine.type("\r")
    machine.wait_for_part(r"\[shell\] # ")
    machine.type("now\r")
    machine.wait_for_part(r"\[shell\] \$ ")
    machine.type("!")
    machine.wait_for(r"^\[neighbour\] here I am$")
    machine.wait_for_part(r"^\[shell\] \$ ")  # again, behind the line that broke it off
    machine.type("on\r")
    lines = machine.end()
    check_tap(lines, ["shell"])
    assert "[shell] login: mx\b \b \b \be" in lines  # as a terminal shows it: me
    assert "[shell] # now" in lines
    assert lines.count("[shell] $ ") == 1
    assert "[shell] $ on" in lines


@pytest.mark.parametrize("how", [
    dict(stdin=subprocess.DEVNULL),
    dict(around=["sh", "-c", ': | exec "$@"', "sh"]),
    dict(around=["setsid"], stdin=subprocess.DEVNULL),
], ids=["null", "pipe", "no-session"])
def test_without_a_terminal(boot, image, how):
    check_tap(boot(image("flood"), **how).end(), ["one", "two", "three"])


def test_weir_run_with_standard_input_closed(image, tmp_path):
    """QEMU alone would not start."""
    tool = pathlib.Path(__file__).resolve().parents[2] / "tools/weir"
    machine = Machine(["sh", "-c", 'exec "$@" <&-', "sh", tool, "run", image("flood")], tmp_path / "log")
    try:
        check_tap(machine.end(), ["one", "two", "three"])
    finally:
        machine.kill()
