"""
What firmware may do otherwise, or wrongly: the Raspberry Pi as QEMU has it, with trees and handovers that
its own firmware could make, and a GIC whose interrupts nobody gave to the non-secure world.
"""

import re
import struct
import subprocess

import pytest

from conftest import IMAGES, edited_tree, existing
from machine import LAST_LINE, check_tap
from monitor import Monitor
from test_refused import compile_image
from test_serror import SOURCE as TWO_ON_A_CORE
from test_serror import Debugger, symbol  # noqa: F401 (a fixture)
from test_trees import LINE_WITHOUT_TREE, WRONG_LEVEL
from weirlib import qemu

# Where these tests put things; the raw file that QEMU starts is at 0x80000.
LOAD, TREE, IMAGE = 0x200000, 0xA000000, 0x9000000
PSCI = 0x400  # the vector of an SMC from EL2
GROUP_0 = ("weir: interrupt controller: expected the interrupt that core 0 sends to itself, but none comes: "
           "firmware left interrupts in Group 0; Raspberry Pi: enable_gic=1 in config.txt")


def firmware(path, x0, entry, level=2, gicv3=False, stores=()):
    """firmware.S with what it is to do."""
    words = struct.pack("<QQQQ", x0, entry, level, gicv3)
    pairs = b"".join(struct.pack("<QQ", *pair) for pair in [*stores, (0, 0)])
    path.write_bytes(existing(IMAGES / "firmware.bin").read_bytes() + words + pairs)
    return path


def loader(files):
    return [word for address, path in files.items()
            for word in ("-device", f"loader,file={path},addr={address:#x},force-raw=on")]


@pytest.fixture
def tree(tmp_path):
    """tree(edit): the file of the Raspberry Pi's tree, its text changed by `edit`."""
    return lambda edit: edited_tree(existing(qemu_tree()), edit, tmp_path)


def qemu_tree():
    return IMAGES.parents[2] / "build/rpi4" / qemu.RPI4_TREE.rsplit("/", 1)[1]


def without(node):
    """An edit that takes a node out, with all that is in it."""
    def edit(text):
        start = re.search(rf"\n\t*(\w+: )?{re.escape(node)} {{", text).start()
        at = text.index("{", start) + 1
        depth = 1
        while depth:
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        return text[:start] + text[at + 1:]
    return edit


def weir_lines(machine):
    """All but those about the card, which these tests do without."""
    return [line.removeprefix("weir: ") for line in machine.end()
            if line.startswith("weir: ") and not line.startswith("weir: mmc@")]


# ---- Cores ----

def with_psci(text):
    """As TF-A changes it: its own memory instead of the page of the spin table."""
    text = text.replace('enable-method = "spin-table"', 'enable-method = "psci"')
    text = re.sub(r"/memreserve/[^;]*;|cpu-release-addr = <[^>]*>;", "", text)
    return text + ('/ { reserved-memory { atf@0 { reg = <0 0 0x80000>; no-map; }; }; psci { method = "smc"; '
                   'compatible = "arm,psci-1.0", "arm,psci-0.2", "arm,psci"; }; };')


def boot_with_psci(boot, blob, tree, code):
    """QEMU puts its spin table below the vector, and nothing behind it."""
    return boot(blob, board="rpi4", extra=["-dtb", tree(with_psci), *loader({PSCI: code})])


def test_cores_of_the_raspberry_pi_start_by_psci_if_the_tree_says_so(boot, image, tree):
    machine = boot_with_psci(boot, image("cores"), tree, existing(IMAGES / "psci.bin"))
    lines = weir_lines(machine)
    assert lines[0].startswith("1 VMs on 4 cores") and lines[1:] == [LAST_LINE.removeprefix("weir: ")]
    check_tap(machine.lines, ["many"])


def test_psci_that_fails_is_a_line_for_each_core_and_the_boot_core_goes_on(boot, image, tree, tmp_path):
    """Firmware that answers every call with -2, and leaves it to the power block to turn the machine off."""
    (tmp_path / "psci").write_bytes(struct.pack("<II", 0x92800020, 0xD69F03E0))  # mov x0, #-2; eret
    lines = weir_lines(boot_with_psci(boot, image("cores"), tree, tmp_path / "psci"))
    assert lines[:3] == [f"tree: /cpus/cpu@{n}: reg: expected a core that firmware starts (PSCI CPU_ON says "
                         "-2); it stays off" for n in (1, 2, 3)]
    assert lines[3].startswith("1 VMs on 1 cores") and lines[4:] == [LAST_LINE.removeprefix("weir: ")]


def test_a_tree_with_psci_cores_and_no_psci_gets_no_smc(boot, image, tree):
    """It would never come back: no firmware is there."""
    machine = boot(image("cores"), board="rpi4", extra=[
        "-dtb", tree(lambda text: text.replace('enable-method = "spin-table"', 'enable-method = "psci"'))])
    lines = weir_lines(machine)
    assert [line for line in lines if "PSCI CPU_ON says -1" in line] == lines[:3]
    assert lines[3].startswith("1 VMs on 1 cores")


# ---- Debug ----

# Of EL2, into x0. DDI 0487 D19.3.
MRS_OSLSR, MRS_MDSCR = (bytes.fromhex(word)[::-1] for word in ("d5301180", "d5300240"))
OSLSR_OPEN = 8  # there is a lock (OSLM), and it is not closed (OSLK)


def test_the_os_lock_is_open_which_is_closed_at_reset(boot, tmp_path, symbol):
    """Closed, no VM has breakpoints. QEMU does not mind, so the registers are looked at, when a guest has run."""
    path = tmp_path / "debugger"
    machine = boot(compile_image(tmp_path / "image.dtb", TWO_ON_A_CORE), cores=1,
                   extra=["-gdb", f"unix:{path},server=on,wait=off"])
    machine.wait_for(r"^\[two\]")
    with Debugger(path) as debugger:
        debugger.ask("?")
        debugger.run_to(symbol("serror_window"))
        assert debugger.execute(MRS_OSLSR, 0) == OSLSR_OPEN
        assert debugger.execute(MRS_MDSCR, 1) == 0


# ---- Interrupts ----

def start_virt(boot, image, tmp_path, gic=2, stores=()):
    """
    Weir from firmware at EL3, with a GIC that has the Security Extensions. One core: QEMU would start the
    others in flash as well.
    """
    board = dict(gic=gic, cores=1)
    blob, flash = tmp_path / "tree", tmp_path / "flash"
    secure = ["-M", "secure=on"]
    firmware(flash, 0x48000000, 0x40200000, gicv3=gic == 3, stores=stores)
    dump = qemu.qemu_command(None, bios=flash, **board, extra=[*secure, "-M", f"dumpdtb={blob}"])
    subprocess.run(dump, check=True, capture_output=True)
    size = image.stat().st_size
    for name, value in ("start", 0x44000000), ("end", 0x44000000 + size):
        subprocess.run(["fdtput", "-t", "x", blob, "/chosen", f"linux,initrd-{name}", f"{value:x}"], check=True)
    files = {0x40200000: IMAGES.parents[2] / "build/weir.bin", 0x44000000: image, 0x48000000: blob}
    return boot(None, bios=flash, extra=[*secure, *loader(files)], **board)


GROUP_1 = [(0x8000080 + 4 * n, 0xffffffff) for n in range(9)]
PRIORITY_MASK = (0x8010004, 0xff)


@pytest.mark.parametrize("gic, stores", [(2, []), (2, GROUP_1), (2, [PRIORITY_MASK]), (3, [])],
                         ids=["nothing", "masked", "group-0", "gicv3"])
def test_interrupts_that_firmware_kept_are_found_out(boot, image, tmp_path, gic, stores):
    machine = start_virt(boot, image("boot"), tmp_path, gic, stores)
    assert machine.line() == GROUP_0
    assert machine.line().startswith("weir: nothing is known that turns the machine off")


def test_interrupts_that_firmware_gave_away_come(boot, image, tmp_path):
    """So what the others lack is what stops them."""
    machine = start_virt(boot, image("boot"), tmp_path, 2, [*GROUP_1, PRIORITY_MASK])
    machine.wait_for("^weir: 2 VMs on 1 cores")
    machine.wait_for(f"^{LAST_LINE}$")
    check_tap(machine.lines, ["many", "one"])
    assert GROUP_0 not in machine.lines


# ---- The timer ----

def with_frequency(text):
    return text.replace('compatible = "arm,armv8-timer";',
                        'compatible = "arm,armv8-timer"; clock-frequency = <54000000>;')


def test_the_tree_s_frequency_goes_before_the_register_s(boot, image, tree):
    """QEMU's runs at 62.5 MHz and says so; the VMs see nothing but that they measure another time."""
    lines = weir_lines(boot(image("boot"), board="rpi4", extra=["-dtb", tree(with_frequency)]))
    assert lines[0] == ("tree: timer: clock-frequency: 54000000 Hz is taken, for CNTFRQ_EL0 says 62500000; "
                        "guests that read it count wrong")
    assert lines[-1] == LAST_LINE.removeprefix("weir: ")


# ---- Bad input ----

def start_rpi4(boot, tmp_path, tree, blob, x0=TREE, level=2, extra=()):
    """Everything where these tests want it, and x0 and the exception level; QEMU changes nothing in the tree."""
    files = {LOAD: IMAGES.parents[2] / "build/weir.bin", **({TREE: tree} if tree else {}),
             **({IMAGE: blob} if blob else {})}
    if level == 3:  # back from an SMC: br x1
        (tmp_path / "vector").write_bytes(struct.pack("<I", 0xD61F0020))
        files[PSCI] = tmp_path / "vector"
    return boot(None, weir=firmware(tmp_path / "start", x0, LOAD, level), board="rpi4",
                extra=[*loader(files), *extra])


@pytest.mark.parametrize("level", [1, 3])
def test_the_wrong_level_is_told_on_the_raspberry_pi_s_uart(boot, tmp_path, level):
    machine = start_rpi4(boot, tmp_path, existing(qemu_tree()), None, level=level)
    machine.wait_for("^weir: ")
    assert machine.lines[-1] == WRONG_LEVEL and machine.listen(0.2) == []


@pytest.mark.parametrize("x0", [0, 0x100, TREE + 4, IMAGE])
def test_without_a_tree_the_raspberry_pi_is_silent(boot, tmp_path, x0):
    """Which UART it has stands in the tree: the line is in memory. QEMU's word without -dtb is 0x100."""
    with Monitor(LOAD) as monitor:
        machine = start_rpi4(boot, tmp_path, None, None, x0, extra=monitor.options)
        lines, off = monitor.wait_until_over()
        machine.kill()
    assert not off and LINE_WITHOUT_TREE in lines
    assert not [line for line in machine.lines if not line.startswith("qemu-")]


LACKING = {
    "gic": ("interrupt-controller@40041000",
            "tree: /: expected an interrupt controller compatible with arm,gic-400, "),
    "timer": ("timer", "tree: timer: interrupts: expected a node compatible with arm,armv8-timer and "),
}


@pytest.mark.parametrize("name", LACKING)
def test_a_tree_of_the_raspberry_pi_that_lacks_something_is_a_line(boot, image, tree, name):
    """And the power block, which is in it, turns the machine off."""
    node, line = LACKING[name]
    lines = weir_lines(boot(image("boot"), board="rpi4", extra=["-dtb", tree(without(node))]))
    assert len(lines) == 1 and lines[0].startswith(line), lines


def test_the_raspberry_pi_without_an_image_says_so(boot):
    assert weir_lines(boot(None, board="rpi4")) == [
        "/chosen: linux,initrd-start: no system image: pass one (QEMU: -initrd), or join it (tools/weir join)"]


@pytest.mark.parametrize("kept", [1, 39, 100, 4096, -1])
def test_an_image_that_is_cut_is_a_line(boot, image, tmp_path, kept):
    whole = image("boot").read_bytes()
    (tmp_path / "cut").write_bytes(whole[:kept])
    lines = weir_lines(boot(tmp_path / "cut", board="rpi4"))
    assert len(lines) == 1, lines
    assert lines[0].startswith("manifest: "), lines
