"""`make linux` with what is not there: one line says so, and nothing is built or booted."""

import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def make_linux(*variables):
    # The make that runs the tests has told its flags to its children.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", "-n", "linux", *variables], cwd=ROOT, env=environment, capture_output=True,
                          text=True, timeout=120)


BOARDS = "there are BOARD=virt with GIC=2 or 3, and BOARD=rpi4, which has a GICv2"


@pytest.mark.parametrize("variables, said", [
    (["MANIFEST=bogus"], "MANIFEST=bogus: guests/linux has no such manifest, but disk linux two"),
    (["MANIFEST="], "MANIFEST=: guests/linux has no such manifest, but disk linux two"),
    (["MANIFEST=disk", "DISK=none.img"],
     "DISK=none.img: there is no such file: name a raw image, or none for build/linux/disk.img"),
    (["DISK=none.img"],
     "DISK=none.img: there is no such file: name a raw image, or none for build/linux/disk.img"),
    (["GIC=5"], f"BOARD=virt GIC=5: {BOARDS}"),
    (["BOARD=rpi4", "GIC=3"], f"BOARD=rpi4 GIC=3: {BOARDS}"),
    (["BOARD=pc"], f"BOARD=pc GIC=2: {BOARDS}"),
], ids=str)
def test_what_is_not_there_is_one_line(variables, said):
    done = make_linux(*variables)
    assert done.returncode == 2
    line, = done.stderr.splitlines()
    assert line.endswith(f"*** {said}.  Stop.")
    assert not done.stdout


@pytest.mark.parametrize("variables", [
    ["MANIFEST=disk"], ["MANIFEST=two", "GIC=3"], ["DISK=README.md"], ["BOARD=rpi4"],
], ids=str)
def test_what_is_there_is_booted(variables):
    done = make_linux(*variables)
    assert done.returncode == 0, done.stderr
    assert "tools/weir run" in done.stdout
