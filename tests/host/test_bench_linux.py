"""tools/bench-linux: what the boots print becomes figures, and what is missing is an error."""

import importlib.machinery
import importlib.util
import json
import pathlib
import subprocess
import sys

import libfdt
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "bench-linux"


def load():
    sys.path.insert(0, str(TOOL.parent))
    try:
        loader = importlib.machinery.SourceFileLoader("weir_bench_linux", str(TOOL))
        module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
        loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(TOOL.parent))


bench_linux = load()

# A machine that prints what is given for the image, or for the kernel without one, and keeps its arguments.
MACHINE = """\
#!/usr/bin/python3
import os, sys
def after(word):
    return os.path.basename(sys.argv[sys.argv.index(word) + 1])
loaded = " ".join(sys.argv)
name = after("-initrd").partition(".")[0] if "-initrd" in sys.argv else (
    "block_native" if "block.cpio" in loaded else "boot_native")
with open(__file__ + "." + name, "w") as file:
    file.write("\\n".join(sys.argv))
print({lines!r}[name])
sys.exit({status})
"""


def make_tree() -> bytes:
    tree = libfdt.FdtSw()
    tree.finish_reservemap()
    tree.begin_node("")
    tree.begin_node("chosen")
    tree.property_u64("linux,initrd-start", 0x4BFB0000)
    tree.end_node()
    tree.end_node()
    fdt = tree.as_fdt()
    return bytes(fdt.as_bytearray())[:fdt.totalsize()]


TREE = make_tree()
PRINTED = ["[bench] entry 0000000040200000"] + [
    f"[bench] tree {0x4BFBF000 + at:016x} {TREE[at:at + 32].hex()}" for at in range(0, len(TREE), 32)]
# Three passages of 16 requests for each of four kinds: of 40, 10 and 20 (hexadecimal 28, a, 14) more at EL2 each.
MARKS = [f"{{}} {number:x} {at:x} {at // 4:x}" for kind in range(4) for passage, more in enumerate((640, 160, 320))
         for number, at in ((16, 4000 * kind + 1000 * passage), (0, 4000 * kind + 1000 * passage + more))]
LINES = {"boot": "weir: counted 3e8 28", "boot_tree": "\n".join(PRINTED),
         "boot_native": "native: counted 00000000000003f2 000000000000000e",
         "block": "\n".join(mark.format("weir: mark") for mark in MARKS), "block_tree": "\n".join(PRINTED),
         "block_native": "\n".join(mark.rpartition(" ")[0].format("native: mark") + " 0" for mark in MARKS)}


def call(folder, lines, status=0):
    machine = folder / "machine"
    machine.write_text(MACHINE.format(lines=lines, status=status))
    machine.chmod(0o755)
    for name in ("vmlinuz", "weir.bin", "boot.dtb", "block.dtb", "native.elf"):
        (folder / name).write_bytes(b"")
    return subprocess.run([TOOL, "--folder", folder, "--kernel", folder / "vmlinuz", "--qemu", machine,
                           "--weir-bench", folder / "weir.bin", "--out", folder / "out.json"],
                          capture_output=True, text=True, check=False)


def test_both_sides_count_all_that_was_executed(tmp_path):
    done = call(tmp_path, LINES)
    assert (done.returncode, done.stderr) == (0, "")
    rows = json.loads((tmp_path / "out.json").read_text())["rows"]
    figures = {row["name"]: row["figure"] for row in rows}
    assert {name: figures.pop(name) for name in list(figures) if name.startswith("linux.boot")} == {
        "linux.boot_instructions": 1040, "linux.boot_instructions_at_el2": 40,
        "linux.boot_instructions_native": 1024, "linux.boot_overhead_percent": 1.56}
    assert figures == {f"linux.block_{kind}{end}": figure for kind in ("read_4k", "read_64k", "write_4k", "write_64k")
                       for end, figure in (("", 12), ("_at_el2", 2), ("_native", 10), ("_overhead_percent", 20))}
    assert [row for row in rows if row["name"] == "linux.block_read_4k"] == [
        {"name": "linux.block_read_4k", "unit": "instructions", "figure": 12, "is": "least", "min": 12, "max": 50,
         "samples": 3}]


def test_natively_all_lies_where_the_vm_has_it(tmp_path):
    call(tmp_path, LINES)
    words = (tmp_path / "machine.boot_native").read_text().splitlines()
    assert [word for word in words if word.startswith("loader,")] == [
        f"loader,file={tmp_path}/vmlinuz,addr=0x40200000,force-raw=on",
        f"loader,file={tmp_path}/boot_vm_tree.dtb,addr=0x4bfbf000,force-raw=on",
        f"loader,file={tmp_path}/boot.cpio,addr=0x4bfb0000,force-raw=on",
        "loader,addr=0x50100000,data=0x40200000,data-len=8",
        "loader,addr=0x50100008,data=0x4bfbf000,data-len=8",
        "loader,addr=0x50100010,data=0x0,data-len=8"]
    words = (tmp_path / "machine.block_native").read_text().splitlines()
    assert "loader,addr=0x50100010,data=0x800000,data-len=8" in words
    assert (tmp_path / "boot_vm_tree.dtb").read_bytes() == TREE


@pytest.mark.parametrize("name, says, expected", [
    ("boot", "weir: all VMs are off", "boot: nothing was counted"),
    ("boot", "weir: fault: VM bench", "boot: it went wrong"),
    ("boot_native", "Kernel panic - not syncing", "native: it went wrong"),
    ("block", "weir: all VMs are off", "block: 0 marks"),
    ("block_native", "native: mark 10 0 0", "block_native: 1 marks, of 4 rows"),
    ("boot_tree", "\n".join(PRINTED[1:]), "was not printed"),
    ("boot_tree", "\n".join(PRINTED[:-1]), "was not printed"),
    ("boot_tree", "\n".join(PRINTED[:1] + PRINTED[2:]), "was not printed"),
    ("boot_tree", "\n".join(PRINTED[:2] + PRINTED[3:]), "a line of the tree is missing"),
])
def test_a_boot_that_goes_wrong_leaves_no_figures(tmp_path, name, says, expected):
    done = call(tmp_path, {**LINES, name: says})
    assert done.returncode == 1 and expected in done.stderr
    assert not (tmp_path / "out.json").exists()


def test_the_disk_is_the_same_natively_and_for_weir(tmp_path):
    call(tmp_path, LINES)
    disks = [[word for word in (tmp_path / f"machine.{name}").read_text().splitlines() if "d0" in word]
             for name in ("block", "block_native", "boot")]
    assert disks[0] == disks[1] and len(disks[0]) == 2 and not disks[2]


def test_the_machine_s_status_counts(tmp_path):
    assert call(tmp_path, LINES, status=1).returncode == 1
