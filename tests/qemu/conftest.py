"""pytest's side of the tests on QEMU: what a test is given, and how the run is split and shown."""

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from machine import Machine  # noqa: E402
from weirlib import qemu  # noqa: E402

IMAGES = ROOT / "build/tests/qemu"
LOGS = ROOT / "build/tests/qemu"


def pytest_addoption(parser):
    parser.addoption("--patience", type=float, default=120.0, metavar="SECONDS",
                     help="a machine that prints nothing for so long hangs (default: %(default)s)")


def existing(path):
    if not path.exists():
        pytest.fail(f"{path.relative_to(ROOT)} is not there: make tests-build", pytrace=False)
    return path


def edited_tree(blob, edit, folder):
    """The file of the tree in `blob`, its text changed by `edit`."""
    text, out = folder / "edited.dts", folder / "edited.dtb"
    subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts", "-o", text, blob], check=True)
    before = text.read_text()
    text.write_text(edit(before))
    assert text.read_text() != before
    subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", out, text], check=True)
    return out


@pytest.fixture
def image():
    """The system image made of tests/qemu/NAME.dts."""
    return lambda name: existing(IMAGES / f"{name}.dtb")


@pytest.fixture
def boot(request, soak):
    """
    boot(image, weir="build/weir.bin", **keywords of qemu_command) starts a Machine, which is killed
    at the end of the test, however that ends. In soak mode `limit` is that of soak.py.
    """
    machines = []

    def start(image, weir="build/weir.bin", allowed=(), limit=600.0, stdin=subprocess.PIPE,
              around=(), **keywords):
        keywords["weir"] = existing(ROOT / weir)
        if keywords.get("board") == "rpi4":
            existing(pathlib.Path(qemu.RPI4_TREE))
        command = [*around, *qemu.qemu_command(image, **keywords)]
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", request.node.name).strip("-")
        name += f"-{len(machines) + 1}" if machines else ""
        LOGS.mkdir(parents=True, exist_ok=True)
        machines.append(Machine(command, LOGS / f"{name}.log", allowed=allowed, limit=soak.limit(limit),
                                stdin=stdin, patience=request.config.getoption("--patience")))
        request.node.user_properties.append(("log", str(LOGS / f"{name}.log")))
        return machines[-1]

    yield start
    for machine in machines:
        machine.kill()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Where to look: the log of each machine of a failed test."""
    report = (yield).get_result()
    if report.failed:
        for key, value in item.user_properties:
            if key == "log":
                report.sections.append(("console", f"{value} (its first line repeats the run)"))
