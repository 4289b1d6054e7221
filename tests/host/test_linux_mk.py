"""`make linux` and `make run` with what is not there, and goals with variables that are not theirs: one line says so,
and nothing is built or booted."""

import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def make(goal, *variables):
    # The make that runs the tests has told its flags to its children.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", "-n", goal, *variables], cwd=ROOT, env=environment, capture_output=True,
                          text=True, timeout=120)


def refuses(done, said):
    assert done.returncode == 2
    line, = done.stderr.splitlines()
    assert line.endswith(f"*** {said}.  Stop.")
    assert not done.stdout


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
    (["LINUX=7"], "LINUX=7: it is a version of two numbers, 6.1 or 6.12"),
    (["LINUX="], "LINUX=: it is a version of two numbers, 6.1 or 6.12"),
], ids=str)
def test_what_is_not_there_is_one_line(variables, said):
    refuses(make("linux", *variables), said)


@pytest.mark.parametrize("goal, variables, said", [
    ("run", ["BOARD=pc"], "BOARD=pc: there are BOARD=virt and BOARD=rpi4"),
    ("demo-pipeline", ["BOARD=pc"], "BOARD=pc: there are BOARD=virt and BOARD=rpi4"),
    ("run", ["EXAMPLE=bogus"], "EXAMPLE=bogus: there is no guests/examples/bogus.dts"),
    ("run", ["EXAMPLE=kv/bogus"], "EXAMPLE=kv/bogus: there is no guests/kv/bogus.dts"),
], ids=str)
def test_nor_does_make_run_begin(goal, variables, said):
    refuses(make(goal, *variables), said)


@pytest.mark.parametrize("variables", [
    ["MANIFEST=disk"], ["MANIFEST=two", "GIC=3"], ["DISK=README.md"], ["BOARD=rpi4"],
], ids=str)
def test_what_is_there_is_booted(variables):
    done = make("linux", *variables)
    assert done.returncode == 0, done.stderr
    assert "tools/weir run" in done.stdout


@pytest.mark.parametrize("goal, variable, others", [
    ("test", "SOAK=4h", ", but of make soak"),
    ("bench", "BOARD=rpi4", ", but of make run demo-pipeline linux"),
    ("run", "GIC=3", ", but of make linux"),
    ("linux", "INPUT=README.md", ", but of make run rpi4"),
    ("soak", "SAOK=4h", ""),
], ids=str)
def test_a_variable_that_the_goal_does_not_take_is_one_line(goal, variable, others):
    name = variable.partition("=")[0]
    refuses(make(goal, variable), f"{name}: not a variable of make {goal}{others}: make help lists them")


@pytest.mark.parametrize("goal, variables", [
    ("soak", ["SOAK=10000,4h", "SEED=7"]), ("test", ["TMPDIR=folder", "https_proxy=proxy"]),
    ("test", ["FUZZ_SECONDS=5", "WEIR_QEMU=qemu"]),
    ("run", ["INPUT=a $b", "BOARD=rpi4", "V=1"]), ("install-headers", ["PREFIX=a", "DESTDIR=b", "LLVM=1"]),
], ids=str)
def test_a_variable_that_the_goal_takes_is_none(goal, variables):
    assert make(goal, *variables).returncode == 0


def test_help_lists_the_goals_variables():
    text = (ROOT / "Makefile").read_text()
    told = make("help").stdout
    taken = [name for line in text.splitlines() if line.startswith("TAKES_") for name in line.split()[2:]]
    assert {"SOAK", "INPUT", "DESTDIR"} <= set(taken)
    assert [name for name in taken if f"{name}=" not in told and name != "FUZZ_OUT"] == []
