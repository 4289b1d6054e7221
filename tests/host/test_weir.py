"""tools/weir: a right manifest makes an image, and QEMU is called with what was asked for."""

import os
import pathlib
import re
import shlex
import subprocess

import libfdt
import pytest

from weir_manifest import FILES, GOOD, RAW, ROOT, edit, folder, vms, weir  # noqa: F401
from weirlib import qemu


def test_the_image_has_the_kernel_to_the_byte(folder):
    (folder / "m.dts").write_text(GOOD)
    done = weir(folder, "image", "m.dts", "-I", "files", "-o", "m.dtb")
    assert (done.returncode, done.stdout) == (0, "")
    fdt = libfdt.FdtRo((folder / "m.dtb").read_bytes())
    reader, writer = fdt.path_offset("/vms/reader"), fdt.path_offset("/vms/writer")
    assert bytes(fdt.getprop(reader, "kernel")) == RAW
    assert bytes(fdt.getprop(writer, "ramdisk")) == FILES["ramdisk.bin"]
    assert fdt.getprop(reader, "memory-mib").as_uint32() == 4
    assert fdt.getprop(reader, "peers").as_str() == "writer"


def test_the_image_is_the_same_each_time(folder):
    (folder / "m.dts").write_text(GOOD)
    for name in ("one", "two"):
        assert weir(folder, "image", "m.dts", "-I", "files", "-o", name).returncode == 0
    assert (folder / "one").read_bytes() == (folder / "two").read_bytes()


@pytest.mark.parametrize("old", [b"an older image", None])
def test_a_wrong_manifest_leaves_the_image_alone(folder, old):
    (folder / "m.dts").write_text(edit("<4>", "<0>"))
    if old:
        (folder / "m.dtb").write_bytes(old)
    before = sorted(os.listdir(folder))
    done = weir(folder, "image", "m.dts", "-I", "files", "-o", "m.dtb", "-MD", "m.d")
    assert done.returncode == 1
    assert sorted(os.listdir(folder)) == before
    assert not old or (folder / "m.dtb").read_bytes() == old


def test_the_image_does_not_replace_the_manifest(folder):
    (folder / "m.dts").write_text(GOOD)
    done = weir(folder, "image", "m.dts", "-I", "files", "-o", "./m.dts")
    assert done.returncode == 1 and "would replace the manifest" in done.stderr
    assert (folder / "m.dts").read_text() == GOOD


def test_the_image_does_not_replace_what_it_is_made_of(folder):
    (folder / "m.dts").write_text(GOOD)
    kernel = folder / "files/raw.bin"
    before = kernel.read_bytes()
    done = weir(folder, "image", "m.dts", "-I", "files", "-o", kernel)
    assert done.returncode == 1 and done.stderr.splitlines()[-1] == (
        f"{kernel}: would replace a file of the manifest: name another file by -o")
    assert kernel.read_bytes() == before


@pytest.mark.parametrize("out, line", [
    ("none/m.dtb", "there is no such directory: make it first, or name another file"),
    ("files", "is a directory: name a file"),
    # A file that root may write in a folder that root may not.
    ("/proc/self/comm", "No such file or directory: name a file in a folder that can be written"),
])
def test_an_image_that_cannot_be_written_is_named(folder, out, line):
    (folder / "m.dts").write_text(vms(1))
    done = weir(folder, "image", "m.dts", "-I", "files", "-o", out)
    assert (done.returncode, done.stderr) == (1, f"{out}: {line}\n")


def test_make_remakes_the_image_when_a_part_changes(folder):
    (folder / "files/a kernel$#").write_bytes(RAW)
    (folder / "m.dts").write_text(edit('"raw.bin"', '"a kernel$#"'))
    (folder / "Makefile").write_text(
        f"m.dtb: m.dts\n\t{ROOT}/tools/weir image m.dts -I files -o m.dtb -MD m.d\n-include m.d\n")

    def made():
        done = subprocess.run(["make"], cwd=folder, capture_output=True, text=True, check=True)
        return "up to date" not in done.stdout

    assert made() and not made()
    later = (folder / "m.dtb").stat().st_mtime + 10
    os.utime(folder / "files/a kernel$#", (later, later))
    assert made()
    os.utime(folder / "m.dtb", (later + 10, later + 10))
    assert not made()
    # A part that the manifest no longer names may go.
    (folder / "files/a kernel$#").unlink()
    (folder / "m.dts").write_text(GOOD)
    os.utime(folder / "m.dts", (later + 20, later + 20))
    assert made()


def test_dtc_missing_is_told(folder):
    (folder / "m.dts").write_text(GOOD)
    done = weir(folder, "check", "m.dts", "-I", "files", env={"PATH": "/nowhere"})
    assert done.returncode == 1
    assert done.stderr == "dtc is missing (device-tree-compiler): tools/setup installs it\n"


def test_help_is_there():
    for words in ([], ["check"], ["image"], ["run"]):
        done = weir(ROOT, *words, "--help")
        assert done.returncode == 0 and done.stdout.startswith("usage: weir")


def test_the_command_line_is_as_promised():
    assert shlex.join(qemu.qemu_command("m.dtb", qemu="qemu")) == (
        "qemu -M virt,virtualization=on,gic-version=2 -cpu cortex-a72 -smp 2 -m 512 "
        "-nographic -nic none -no-reboot -global virtio-mmio.force-legacy=false "
        f"-kernel {shlex.quote(str(ROOT))}/build/weir.bin -initrd m.dtb")
    words = qemu.qemu_command(
        pathlib.Path("i"), weir=pathlib.Path("w"), cpu="max", gic=3, cores=4, memory_mib=128,
        disks=["a,b", ("x:y", True), "d/x:y"], icount=True, extra=["-d", "int"], qemu="qemu")
    assert shlex.join(words) == (
        "qemu -M virt,virtualization=on,gic-version=3,dtb-randomness=off "
        "-cpu max,cntfrq=1000000000 -smp 4 -m 128 -nographic -nic none -no-reboot "
        "-global virtio-mmio.force-legacy=false -icount shift=0,sleep=off -seed 1 "
        "-rtc base=2026-01-01T00:00:00,clock=vm -kernel w -initrd i "
        "-drive if=none,id=d0,format=raw,file=a,,b,cache=writeback "
        "-device virtio-blk-device,drive=d0,bus=virtio-mmio-bus.0,rerror=report,werror=report "
        "-drive if=none,id=d1,format=raw,file=./x:y,cache=writeback,readonly=on "
        "-device virtio-blk-device,drive=d1,bus=virtio-mmio-bus.1,rerror=report,werror=report "
        "-drive if=none,id=d2,format=raw,file=d/x:y,cache=writeback "
        "-device virtio-blk-device,drive=d2,bus=virtio-mmio-bus.2,rerror=report,werror=report "
        "-d int")


def test_the_command_line_of_the_raspberry_pi():
    words = qemu.qemu_command("m.dtb", weir="w", board="rpi4", disks=["card"], qemu="qemu", extra=["-s"])
    tree = shlex.quote(f"{ROOT}/build/rpi4/bcm2711-rpi-4-b.dtb")
    assert shlex.join(words) == (
        f"qemu -M raspi4b -kernel w -dtb {tree} -serial null -serial mon:stdio -display none "
        "-no-reboot -initrd m.dtb -drive if=sd,format=raw,file=card,cache=writeback -s")


def test_what_the_raspberry_pi_does_not_have_is_refused(folder):
    for words, name in ((["--cores", "2"], "cores"), (["--gic", "3"], "gic"), (["--cpu", "max"], "cpu"),
                        (["--memory-mib", "4096"], "memory-mib")):
        done = weir(folder, "run", "m.dtb", "--board", "rpi4", *words)
        assert done.returncode == 1
        assert done.stderr.startswith(f"--{name}: the Raspberry Pi 4 has "), done.stderr


def test_run_prints_the_command_line_that_it_would_run(folder):
    done = weir(folder, "run", "a b.dtb", "--qemu", "qemu", "--disk-read-only", "one", "--disk",
                "two", "--cores", "1", "--dry-run", "--", "-d", "int")
    assert done.returncode == 0
    words = shlex.split(done.stdout)
    expected = qemu.qemu_command("a b.dtb", qemu="qemu", cores=1, extra=["-d", "int"],
                                 disks=[("one", True), ("two", False)])
    assert words == expected


def test_run_finds_weir_from_any_folder(folder):
    done = weir(folder, "run", "m.dtb", "--dry-run")
    words = shlex.split(done.stdout)
    assert words[words.index("-kernel") + 1] == str(ROOT / "build/weir.bin")


def test_run_says_where_the_options_of_qemu_go(folder):
    done = weir(folder, "run", "m.dtb", "-d", "guest_errors")
    assert done.returncode == 2
    assert done.stderr.endswith(
        "weir: error: unrecognized arguments: -d guest_errors: options of QEMU's own go behind --, "
        "as in `weir run IMAGE.dtb -- -d guest_errors`\n")
    assert "QEMU" not in weir(folder, "check", "m.dts", "--x").stderr


def test_run_takes_qemu_from_the_environment_and_returns_its_status(folder):
    (folder / "m.dts").write_text(GOOD)
    weir(folder, "image", "m.dts", "-I", "files", "-o", "m.dtb")
    (folder / "weir.bin").write_bytes(bytes(56) + b"ARM\x64" + bytes(200))
    (folder / "qemu").write_text('#!/bin/sh\necho "$@"\nexit 7\n')
    (folder / "qemu").chmod(0o755)
    env = dict(os.environ, WEIR_QEMU=str(folder / "qemu"))
    done = weir(folder, "run", "m.dtb", "--weir", "weir.bin", "--cores", "4", env=env)
    assert done.returncode == 7
    assert "-kernel weir.bin -initrd m.dtb" in done.stdout


@pytest.mark.parametrize("words, message", [
    (["none.dtb"], r"none\.dtb: there is no such file: make one with `weir image`\n"),
    (["m.dtb", "--cores", "2"],
     r"m\.dtb: /: communication-cores: 3 is out of range \(0 to 1 on this board\): "
     r"name cores that the board has, or run on a larger board by --cores, --memory-mib\n"
     r"m\.dtb: /vms/writer: cores: 2 is out of range"),
    (["m.dtb", "--cores", "4", "--memory-mib", "12"],
     r"m\.dtb: /vms: the VMs and the image need 13 MiB, the board has 12: "
     r"lower memory-mib of some VMs, or run on a larger board by --cores, --memory-mib\n"),
    (["m.dts"], r"m\.dts: not a device-tree blob: make one with `tools/weir image`"),
    (["other.dtb"], r"other\.dtb: not a system image: make one with `weir image`"),
    (["m.dtb", "--weir", "none.bin"], r"none\.bin: there is no such file: `make` builds"),
    (["m.dtb", "--weir", "m.dts"], r"m\.dts: not the hypervisor: `make` builds build/weir\.bin"),
    (["m.dtb", "--disk", "none.img"], r"none\.img: there is no such file: name a raw disk image"),
    (["m.dtb", "--qemu", "./none"], r"\./none: QEMU is not there: run tools/setup"),
])
def test_run_says_what_is_missing(folder, words, message):
    (folder / "m.dts").write_text(GOOD)
    weir(folder, "image", "m.dts", "-I", "files", "-o", "m.dtb")
    subprocess.run(["dtc", "-q", "-O", "dtb", "-o", folder / "other.dtb"], check=True, text=True,
                   input="/dts-v1/; / { };")
    (folder / "weir.bin").write_bytes(bytes(56) + b"ARM\x64" + bytes(200))
    done = weir(folder, "run", "--weir", "weir.bin", "--qemu", "true", *words)
    assert done.returncode == 1
    assert re.match(message, done.stderr), done.stderr
