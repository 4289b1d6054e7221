"""
What is wrong is refused, by one line with node, property, expectation and remedy; the others run. The
images are made past the checks of tools/weir.
"""

import re
import subprocess

import pytest

import mistakes
from conftest import ROOT, existing
from machine import LAST_LINE, check_tap

GUESTS = ROOT / "build/tests/guest"
# A guest that looks at all it was given.
GOOD = 'kernel = /incbin/("boot.bin"); memory-mib = <2>; vcpus = <2>;'
BANNER = re.compile(r"weir: \d+ VMs on \d+ cores, GICv\d, \d+ KiB for the hypervisor")


def compile_image(path, text):
    """Whatever dtc does not like about it."""
    path.with_suffix(".dts").write_text(text)
    existing(GUESTS / "boot.bin")
    subprocess.run(["dtc", "-q", "-f", "-I", "dts", "-O", "dtb", "-i", GUESTS, "-o", path,
                    path.with_suffix(".dts")], check=True, timeout=60)
    return path


def complaints(machine, reporters=("good",)):
    """
    What Weir printed besides its first and last line, without "weir: ". The machine ends by itself, and
    the VMs that are right have done their work.
    """
    lines = machine.end()
    check_tap(lines, reporters)
    mine = [line for line in lines if line.startswith("weir: ")]
    assert mine[-1] == LAST_LINE
    banner = [line for line in mine if BANNER.fullmatch(line)]
    assert len(banner) == 1
    assert not [line for line in lines if not line.startswith(("weir: ", "["))]
    return [line.removeprefix("weir: ") for line in mine[:-1] if line not in banner]


@pytest.mark.parametrize("number, source, wrong", [
    pytest.param(number, *pair, id=str(number))
    for number, pair in enumerate(mistakes.manifests(GOOD))])
def test_each_mistake_of_a_manifest_is_one_line(boot, tmp_path, number, source, wrong):
    image = compile_image(tmp_path / "image.dtb", source)
    lines = complaints(boot(image, cores=mistakes.CORES))
    for (path, prop), mistake in wrong.items():
        start = f"manifest: {path}: "
        # A name that is too long is cut.
        mine = [line for line in lines if line.startswith((start, start[:10 + 6 + 32] + ": "))]
        assert len(mine) == 1, (path, mine)
        lines.remove(mine[0])
        assert f": {prop}: {mistake.line}" in mine[0], mine[0]
        assert re.fullmatch(r"[^:]*: [^:]+: [^:]+: .+; .+", mine[0]), mine[0]
    # What follows of it for others.
    crowded = ("/vms/crowded", "ports") in wrong
    assert lines == ["manifest: /channels/two: ends: not joined, VM crowded was refused; correct it",
                     "manifest: /channels/three: ends: not joined, VM crowded was refused; "
                     "correct it"] * crowded
