"""The QEMU command line on which Weir runs. tests/qemu uses it as well."""

import argparse
import os
import pathlib
import shutil

from .errors import Mistake, printable

# Where make builds: beside tools/, wherever the user stands.
BUILD = str(pathlib.Path(__file__).resolve().parents[2] / "build")
DEFAULTS = {
    "weir": os.path.join(BUILD, "weir.bin"),
    "board": "virt",
    "cpu": "cortex-a72",
    "gic": 2,
    "cores": 2,
    "memory_mib": 512,
}


def qemu_command(
    image,
    weir=DEFAULTS["weir"],
    board=DEFAULTS["board"],
    cpu=DEFAULTS["cpu"],
    gic=DEFAULTS["gic"],
    cores=DEFAULTS["cores"],
    memory_mib=DEFAULTS["memory_mib"],
    disks=(),
    icount=False,
    extra=(),
    qemu=None,
    bios=None,
) -> list:
    """
    The words of a command that boots the hypervisor `weir` with the system image `image`
    (None: without one). `bios` is a file for flash, and goes before both.

    `disks` are raw images, each a path or a pair (path, read_only), or a dict of -drive's options;
    the first is device 0 of the manifest. `icount` makes time a count of instructions, so that a run repeats exactly.
    """
    machine = f"{board},virtualization=on,gic-version={gic}"
    if icount:
        machine += ",dtb-randomness=off"
        cpu += ",cntfrq=1000000000"  # one tick of the counter is one instruction
    command = [qemu or default_qemu(), "-M", machine, "-cpu", cpu]
    command += ["-smp", str(cores), "-m", str(memory_mib)]
    # -nic none: QEMU would look for a boot ROM for a network card that nobody asked for.
    command += ["-nographic", "-nic", "none", "-no-reboot"]
    command += ["-global", "virtio-mmio.force-legacy=false"]
    if icount:
        command += ["-icount", "shift=0,sleep=off", "-seed", "1"]
        command += ["-rtc", "base=2026-01-01T00:00:00,clock=vm"]
    if bios is not None:
        command += ["-bios", str(bios)]
    else:
        command += ["-kernel", str(weir)]
    if image is not None:
        command += ["-initrd", str(image)]
    for slot, disk in enumerate(disks):
        command += _disk_options(slot, disk)
    return command + [str(word) for word in extra]


def default_qemu() -> str:
    return os.environ.get("WEIR_QEMU") or "qemu-system-aarch64"


def require_qemu(program: str) -> None:
    if not shutil.which(program):
        raise Mistake(f"{program}: QEMU is not there: run tools/setup, or name it by --qemu")


def require_files(paths, remedy="`make` builds Weir and its images") -> None:
    """QEMU's own message about a missing file does not say what to do."""
    for path in paths:
        if not os.path.exists(path):
            raise Mistake(f"{printable(str(path))}: there is no such file: {remedy}")


def require_weir(path) -> None:
    """What is not the hypervisor would be started all the same, and say nothing."""
    require_files([path])
    with open(path, "rb") as file:
        if file.read(60)[56:] != b"ARM\x64":  # the header of an arm64 Image
            raise Mistake(f"{printable(str(path))}: not the hypervisor: `make` builds "
                          "build/weir.bin")


def _disk_options(slot: int, disk) -> list:
    drive = {"if": "none", "format": "raw", "id": f"d{slot}"}
    drive.update(disk if isinstance(disk, dict) else _raw_image(disk))
    words = ",".join(f"{name}={str(value).replace(',', ',,')}" for name, value in drive.items())
    # Errors are the guest's; by default QEMU stops the machine when the host's disk is full.
    errors = "rerror=report,werror=report"
    device = f"virtio-blk-device,drive=d{slot},bus=virtio-mmio-bus.{slot},{errors}"
    return ["-drive", words, "-device", device]


def _raw_image(disk) -> dict:
    path, read_only = (disk, False) if isinstance(disk, (str, os.PathLike)) else disk
    path = str(path)
    if ":" in path.split("/")[0]:
        path = "./" + path  # else QEMU takes what stands before the colon for a protocol
    options = {"file": path, "cache": "writeback"}
    return {**options, "readonly": "on"} if read_only else options


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)


def add_board_options(parser) -> None:
    """The options that say on which machine to run; their names are qemu_command's keywords."""
    board = parser.add_argument_group("the machine")
    board.add_argument("--weir", metavar="FILE", default=DEFAULTS["weir"],
                       help="the hypervisor (%(default)s)")
    board.add_argument("--board", choices=["virt"], default=DEFAULTS["board"],
                       help="QEMU's machine (%(default)s)")
    board.add_argument("--cpu", metavar="MODEL", default=DEFAULTS["cpu"],
                       help="QEMU's name of the core (%(default)s)")
    board.add_argument("--gic", type=int, choices=[2, 3], default=DEFAULTS["gic"],
                       help="version of the interrupt controller (%(default)s)")
    board.add_argument("--cores", metavar="N", type=positive, default=DEFAULTS["cores"],
                       help="number of cores (%(default)s)")
    board.add_argument("--memory-mib", metavar="N", type=positive, default=DEFAULTS["memory_mib"],
                       help="size of RAM (%(default)s)")
    board.add_argument("--icount", action="store_true",
                       help="count instructions instead of time: runs repeat exactly")
    board.add_argument("--qemu", metavar="PATH", default=None,
                       help="the QEMU to use ($WEIR_QEMU, else qemu-system-aarch64)")


def board_keywords(options) -> dict:
    names = ["weir", "board", "cpu", "gic", "cores", "memory_mib", "icount", "qemu"]
    return {name: getattr(options, name) for name in names}
