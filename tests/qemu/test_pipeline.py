"""The chain of VMs of guests/pipeline: every record arrives once, though the filter is killed while records flow."""

import re

import pytest

from conftest import ROOT, existing
from machine import LAST_LINE, Failure
from test_guests import BOARDS, board_name

RECORDS, KILLS = 500000, 3


def only(lines, expression):
    """What the one line has that matches."""
    found = [match for line in lines if (match := re.match(expression, line))]
    if len(found) != 1:
        raise Failure(f"{len(found)} lines match {expression!r}")
    return found[0]


@pytest.mark.parametrize("board", BOARDS, ids=board_name)
def test_every_record_arrives_once(boot, board):
    lines = boot(existing(ROOT / "build/guests/pipeline/pipeline.dtb"), **board).end()
    assert LAST_LINE in lines
    only(lines, rf"\[supervisor\] PASSED: {RECORDS} records made, {RECORDS} arrived, each once and in order$")
    sums = only(lines, r"\[supervisor\] checksum at the source (\w{16}), at the sink (\w{16})$")
    assert sums[1] == sums[2]
    counts = only(lines, r"\[supervisor\] filter killed (\d) times; (\d+) records sent again, (\d+) doubles dropped$")
    assert int(counts[1]) == KILLS == lines.count("weir: filter starts again")
    assert int(counts[2]) > 0
    # The table is live: a row for each half of a second, and what has arrived grows.
    arrived = [int(match[1]) for line in lines if (match := re.match(r"\[supervisor\] .* (\d+) % \|", line))]
    assert len(arrived) > 2 and arrived == sorted(arrived) and arrived[-1] == 100
