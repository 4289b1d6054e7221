"""
The machine's device tree: none, one that lacks something, one that is damaged; and the wrong exception
level. A few instructions in flash start Weir with x0 as each test wants it, since QEMU puts right the
trees that pass through its hands.
"""

import random
import struct
import subprocess

import libfdt
import pytest

from machine import LAST_LINE, check_tap
from monitor import LOAD, STOPPED, Monitor
from test_refused import compile_image, vm
import mistakes
from conftest import ROOT
from weirlib import qemu

TREE, IMAGE = 0x48000000, 0x44000000
LINE_WITHOUT_TREE = "x0 points at no device tree: boot as Linux is booted (Image and tree)"


@pytest.fixture(scope="session")
def machine_tree(tmp_path_factory):
    """The tree that QEMU makes for the machine that conftest's boot() starts, with a system image."""
    def make(gic, image_bytes):
        path = tmp_path_factory.mktemp("tree") / "dtb"
        options = ["-machine", f"dtb-randomness=off,dumpdtb={path}"]
        subprocess.run(qemu.qemu_command(None, gic=gic, extra=options), check=True,
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        tree = libfdt.Fdt(path.read_bytes())
        tree.resize(tree.totalsize() + 4096)
        chosen = tree.path_offset("/chosen")
        tree.setprop_u32(chosen, "linux,initrd-start", IMAGE)
        tree.setprop_u32(chosen, "linux,initrd-end", IMAGE + image_bytes)
        return tree

    made = {}

    def get(gic, image_bytes):
        """A copy, which may be changed."""
        if gic not in made:
            made[gic] = make(gic, image_bytes)
        copy = libfdt.Fdt(bytes(made[gic].as_bytearray()))
        copy.setprop_u32(copy.path_offset("/chosen"), "linux,initrd-end", IMAGE + image_bytes)
        return copy
    return get


def packed(tree):
    """Without the room that QEMU leaves, 1 MiB."""
    tree.pack()
    return bytes(tree.as_bytearray())[:tree.totalsize()]


def start(boot, folder, tree, image, x0=TREE, extra=(), **board):
    """A machine that starts Weir with `x0`, where `tree` is (None: none), and `image`."""
    # ldr x0, 16; ldr x1, 24; br x1; nop
    code = struct.pack("<IIIIQQ", 0x58000080, 0x580000A1, 0xD61F0020, 0xD503201F, x0, LOAD)
    (folder / "flash").write_bytes(code)
    loads = {LOAD: ROOT / "build/weir.bin", IMAGE: image}
    if tree is not None:
        (folder / "tree").write_bytes(tree)
        loads[TREE] = folder / "tree"
    words = [word for address, path in loads.items()
             for word in ("-device", f"loader,file={path},addr={address:#x},force-raw=on")]
    return boot(None, bios=folder / "flash", extra=[*words, *extra], **board)


def delete(tree, path):
    tree.del_node(tree.path_offset(path))


def change(path, prop, value):
    return lambda tree: tree.setprop(tree.path_offset(path), prop, value)


CELLS = struct.Struct(">QQ").pack
CHANGES = {
    "no-memory": (lambda tree: delete(tree, "/memory@40000000"),
                  "tree: /: expected a memory node that is not empty"),
    "no-gic": (lambda tree: delete(tree, "/intc@8000000"),
               "tree: /: expected an interrupt controller compatible with arm,gic-400, "
               "arm,cortex-a15-gic or arm,gic-v3"),
    "no-timer": (lambda tree: delete(tree, "/timer"),
                 "tree: timer: interrupts: expected a node compatible with arm,armv8-timer and its "
                 "four PPIs"),
    "memory-elsewhere": (change("/memory@40000000", "reg", CELLS(0x80000000, 0x10000000)),
                         "tree: /memory@80000000: reg: expected memory up to 8fffffff, but nothing "
                         "answers; the bank is not used"),
    "memory-too-large": (change("/memory@40000000", "reg", CELLS(0x40000000, 0x40000000)),
                         "tree: /memory@40000000: reg: expected memory up to 7fffffff, but nothing "
                         "answers; the bank is not used"),
    "memory-tiny": (change("/memory@40000000", "reg", CELLS(0x40000000, 0x100000)),
                    "memory: /memory: no free range of 2 MiB: give the machine more RAM"),
    "no-image": (lambda tree: tree.delprop(tree.path_offset("/chosen"), "linux,initrd-start") or
                 tree.delprop(tree.path_offset("/chosen"), "linux,initrd-end"),
                 "/chosen: linux,initrd-start: no system image: pass one (QEMU: -initrd), or join it "
                 "(tools/weir join)"),
}
GOOD_V2 = [0x8000000, 0x8010000, 0x8030000, 0x8040000]
GOOD_V3 = [0x8000000, 0x80A0000]
NOWHERE, UART = 0x70000000, 0x9000000
# The version, which frame of it is elsewhere and where, and what is missed.
GICS = {
    "distributor-nowhere": (2, 0, NOWHERE, "the distributor"),
    "distributor-is-a-uart": (2, 0, UART, "the distributor"),
    "cpu-interface-nowhere": (2, 1, NOWHERE, "the CPU interface"),
    "cpu-interface-is-a-uart": (2, 1, UART, "the CPU interface"),
    "hypervisor-nowhere": (2, 2, NOWHERE, "the hypervisor interface"),
    "virtual-nowhere": (2, 3, NOWHERE, "the virtual CPU interface"),
    "v3-distributor-nowhere": (3, 0, NOWHERE, "the distributor"),
    "v3-distributor-is-memory": (3, 0, 0x50000000, "the distributor"),
    "redistributors-nowhere": (3, 1, NOWHERE, "the boot core's redistributor"),
    "redistributors-of-others": (3, 1, 0x80C0000, "the boot core's redistributor"),
}


def last_lines(machine):
    """The machine turns itself off; what Weir said, without "weir: "."""
    return [line.removeprefix("weir: ") for line in machine.end() if line]


@pytest.mark.parametrize("name", CHANGES)
def test_a_tree_that_lacks_something_is_a_line(boot, image, machine_tree, tmp_path, name):
    blob = image("boot")
    tree = machine_tree(2, blob.stat().st_size)
    edit, line = CHANGES[name]
    edit(tree)
    lines = last_lines(start(boot, tmp_path, packed(tree), blob))
    assert lines[0] == line
    assert len(lines) == 1 or (name.startswith("memory-") and len(lines) == 2), lines


@pytest.mark.parametrize("name", GICS)
def test_a_gic_that_is_not_there_is_one_line(boot, image, machine_tree, tmp_path, name):
    version, frame, place, what = GICS[name]
    bases = list(GOOD_V2 if version == 2 else GOOD_V3)
    bases[frame] = place
    blob = image("boot")
    tree = machine_tree(version, blob.stat().st_size)
    cells = b"".join(CELLS(base, 0x10000 if version == 2 else 0x100000) for base in bases)
    change("/intc@8000000", "reg", cells)(tree)
    assert last_lines(start(boot, tmp_path, packed(tree), blob, gic=version)) == [
        f"tree: interrupt controller: reg: expected {what} of GICv{version} at {place:x}; correct the "
        "tree"]


@pytest.mark.parametrize("gic", [2, 3])
def test_a_tree_that_is_whole_boots(boot, image, machine_tree, tmp_path, gic):
    """So what the other tests change is what fails."""
    blob = image("boot")
    tree = packed(machine_tree(gic, blob.stat().st_size))
    lines = start(boot, tmp_path, tree, blob, gic=gic).end()
    check_tap(lines, ["many", "one"])
    assert len([line for line in lines if line.startswith("weir: ")]) == 2 and LAST_LINE in lines


# ---- Without a console ----

def no_uart(tree):
    delete(tree, "/pl011@9000000")
    tree.delprop(tree.path_offset("/chosen"), "stdout-path")


def uart_nowhere(tree):
    change("/pl011@9000000", "reg", CELLS(NOWHERE, 0x1000))(tree)


@pytest.mark.parametrize("edit", [no_uart, uart_nowhere])
def test_without_a_uart_the_vms_run_and_lines_are_kept(boot, image, machine_tree, tmp_path, edit):
    blob = image("boot")
    tree = machine_tree(2, blob.stat().st_size)
    edit(tree)
    with Monitor() as monitor:
        machine = start(boot, tmp_path, packed(tree), blob, extra=monitor.options)
        lines, off = monitor.wait_until_over()
        machine.kill()
    assert off and not machine.lines
    assert LAST_LINE.removeprefix("weir: ") in lines
    nowhere = [line for line in lines if line.startswith("tree: uart@70000000: reg: expected a device")]
    assert len(nowhere) == (edit is uart_nowhere), lines


def broken(offset, value):
    def damage(tree):
        return tree[:offset] + value + tree[offset + len(value):]
    return damage


NO_TREES = {
    "none": (0, None, LINE_WITHOUT_TREE),
    "empty-memory": (TREE, None, LINE_WITHOUT_TREE),
    "not-aligned": (TREE + 4, None, LINE_WITHOUT_TREE),
    "nothing-there": (NOWHERE, None, LINE_WITHOUT_TREE),
    "behind-all-memory": (1 << 46, None, LINE_WITHOUT_TREE),
    "no-address": (1 << 63, None, LINE_WITHOUT_TREE),
    "other-magic": (TREE, broken(0, b"\xd0\x0d\xfe\xec"), LINE_WITHOUT_TREE),
    "size-0": (TREE, broken(4, bytes(4)), LINE_WITHOUT_TREE),
    "size-enormous": (TREE, broken(4, b"\xff\xff\xff\xf8"), LINE_WITHOUT_TREE),
    "version-1": (TREE, broken(20, b"\0\0\0\1\0\0\0\1"),
                  "tree: expected a device tree at the address in x0 (libfdt says -10)"),
    "structure-outside": (TREE, broken(8, b"\x7f\xff\xff\xf0"),
                          "tree: expected a device tree at the address in x0 (libfdt says -8)"),
}


@pytest.mark.parametrize("name", NO_TREES)
def test_without_a_tree_weir_stops_and_its_line_is_in_memory(boot, image, machine_tree, tmp_path, name):
    x0, damage, line = NO_TREES[name]
    blob = image("boot")
    tree = damage(packed(machine_tree(2, blob.stat().st_size))) if damage else None
    with Monitor() as monitor:
        machine = start(boot, tmp_path, tree, blob, x0, extra=monitor.options)
        lines, off = monitor.wait_until_over()
        machine.kill()
    assert not off and not machine.lines
    assert [text for text in lines if text != STOPPED] == [line]


def test_a_structure_that_is_cut_is_told_on_the_uart_before_it(boot, image, machine_tree, tmp_path):
    """The UART's node is whole, and some that stand behind it are not."""
    blob = image("boot")
    tree = packed(machine_tree(2, blob.stat().st_size))
    start_of, size = struct.unpack_from(">I", tree, 8)[0], struct.unpack_from(">I", tree, 36)[0]
    at = tree.index(b"pl011@9000000\0", start_of)
    end = tree.index(struct.pack(">II", 2, 1), at) + 4  # FDT_END_NODE, FDT_BEGIN_NODE
    tree = tree[:end] + struct.pack(">I", 7) + tree[end + 4:]
    assert end < start_of + size
    machine = start(boot, tmp_path, tree, blob)
    machine.wait_for("^weir: tree: .*: expected a whole tree, but it is damaged behind this node$")


# ---- The exception level ----

WRONG_LEVEL = ("weir: entered at the wrong exception level: start it at EL2 (QEMU: -M "
               "virt,virtualization=on)")


def check_wrong_level(machine):
    """The line, and then nothing: no power off, which nobody can ask for there."""
    while machine.line() != WRONG_LEVEL:
        pass
    assert machine.lines == [WRONG_LEVEL] and machine.listen(0.2) == []


def test_el1_is_told(boot, image):
    """QEMU's boot loader without virtualization."""
    check_wrong_level(boot(image("boot"), extra=["-machine", "virtualization=off"]))


@pytest.mark.parametrize("virtualization", ["on", "off"])
def test_el3_is_told(boot, image, machine_tree, tmp_path, virtualization):
    blob = image("boot")
    tree = packed(machine_tree(2, blob.stat().st_size))
    check_wrong_level(start(boot, tmp_path, tree, blob, extra=[
        "-machine", f"secure=on,virtualization={virtualization}"]))


@pytest.mark.parametrize("x0", [0, TREE + 4, IMAGE])
def test_el3_without_a_tree_is_silent(boot, image, tmp_path, x0):
    """Nobody knows where to say anything, and nothing is disturbed by trying."""
    options = ["-machine", "secure=on", "-d", "guest_errors,unimp,int"]
    machine = start(boot, tmp_path, None, image("boot"), x0, extra=options)
    assert machine.listen(1) == []


def test_a_machine_with_el3_boots_by_qemu_s_loader(boot, image):
    """It goes down to EL2 itself."""
    lines = boot(image("boot"), extra=["-machine", "secure=on"]).end()
    check_tap(lines, ["many", "one"])
    assert LAST_LINE in lines


# ---- Damage ----

SEEDS = 16


def damaged(data, seed, kept=()):
    """Some bits and bytes are others, the same for each seed, except in the ranges `kept`."""
    chance, data = random.Random(seed), bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 3, 8])):
        at = chance.randrange(len(data))
        while any(low <= at < high for low, high in kept):
            at = chance.randrange(len(data))
        data[at] = chance.choice([data[at] ^ 1 << chance.randrange(8), chance.randrange(256)])
    return bytes(data)


def occurrences(data, part):
    at = data.find(part)
    while at >= 0:
        yield at, at + len(part)
        at = data.find(part, at + 1)


SYSTEM = mistakes.source(
    "",
    vms="".join([
        vm("one", 'vcpus = <2>; cores = <0 1>; ports = <4>; peers = "two"; pmu; rights = "store";'),
        vm("two", 'disks = "left"; disks-read-only = "right"; bootargs = "console"; priority = <5>;'),
        vm("three", 'memory-kib = <1024>; load-offset = <0x10000>; shared-kib = <64>; '
                    'window-kib = <64>; on-fault = "halt"; upcall-ms = <500>;')]),
    channels='first { ends = "one", "two"; }; second { ends = "two", "three"; };',
    disks="left { sectors = <1024>; }; right { first-sector = <1024>; device = <0>; };")


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_damaged_image_ends_in_lines(boot, tmp_path, seed):
    """All but the kernels: what a guest does with damage in its code is its own affair."""
    blob = compile_image(tmp_path / "image.dtb", SYSTEM)
    whole, disk = blob.read_bytes(), tmp_path / "disk"
    blob.write_bytes(damaged(whole, seed, list(occurrences(whole, mistakes.KERNEL))))
    disk.write_bytes(bytes(1 << 20))
    lines = boot(blob, disks=[disk], allowed=["^weir: fault: "]).end()
    assert [line for line in lines if line.startswith("weir: ")]


@pytest.mark.parametrize("gic", [2, 3])
@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_damaged_tree_ends_in_lines(boot, machine_tree, tmp_path, seed, gic):
    """Where the console is lost, the lines are looked for in memory."""
    blob = compile_image(tmp_path / "image.dtb", SYSTEM)
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(1 << 20))
    tree = damaged(packed(machine_tree(gic, blob.stat().st_size)), seed)
    with Monitor() as monitor:
        machine = start(boot, tmp_path, tree, blob, extra=monitor.options, gic=gic, disks=[disk])
        lines, _ = monitor.wait_until_over()
        machine.kill()
    assert lines and not [line for line in lines if line.startswith("panic: ")], lines
