"""The QEMU command line on which Weir runs. tests/qemu uses it as well."""

import argparse
import os
import pathlib
import shutil
import sys

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
# The Raspberry Pi 4 is one machine: QEMU's raspi4b has these and no others.
RPI4 = {"cpu": "cortex-a72", "gic": 2, "cores": 4, "memory_mib": 2048}
RPI4_TREE = os.path.join(BUILD, "rpi4", "bcm2711-rpi-4-b.dtb")


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
    if board == "rpi4":
        return _rpi4_command(image, weir, disks, icount, extra, qemu)
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


def _rpi4_command(image, weir, disks, icount, extra, qemu) -> list:
    """
    The console is the mini UART, as on the board: QEMU's second serial line. The one disk is the SD
    card; QEMU wants its size to be a power of two.
    """
    command = [qemu or default_qemu(), "-M", "raspi4b", "-kernel", str(weir), "-dtb", RPI4_TREE]
    command += ["-serial", "null", "-serial", "mon:stdio", "-display", "none", "-no-reboot"]
    if icount:
        command += ["-icount", "shift=0,sleep=off", "-seed", "1"]
    if image is not None:
        command += ["-initrd", str(image)]
    for disk in disks:
        command += ["-drive", "if=sd," + _drive_options(disk)]
    return command + [str(word) for word in extra]


def default_qemu() -> str:
    return os.environ.get("WEIR_QEMU") or "qemu-system-aarch64"


def require_qemu(program: str) -> None:
    if not shutil.which(program):
        raise Mistake(f"{program}: QEMU is not there: run tools/setup, or name it by --qemu")


def give_input() -> None:
    """QEMU's console does not start on a standard input that is closed."""
    if sys.stdin is None:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.set_inheritable(0, True)


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
    # Errors are the guest's; by default QEMU stops the machine when the host's disk is full.
    errors = "rerror=report,werror=report"
    device = f"virtio-blk-device,drive=d{slot},bus=virtio-mmio-bus.{slot},{errors}"
    return ["-drive", f"if=none,id=d{slot}," + _drive_options(disk), "-device", device]


def _drive_options(disk) -> str:
    drive = {"format": "raw", **(disk if isinstance(disk, dict) else _raw_image(disk))}
    return ",".join(f"{name}={str(value).replace(',', ',,')}" for name, value in drive.items())


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


def gic_version(text: str) -> int:
    if text not in ("2", "3"):
        raise argparse.ArgumentTypeError(f"{text!r} is not 2 or 3")
    return int(text)


def add_board_options(parser) -> None:
    """The options that say on which machine to run; their names are qemu_command's keywords."""
    board = parser.add_argument_group("the machine")
    board.add_argument("--weir", metavar="FILE", default=DEFAULTS["weir"],
                       help="the hypervisor (%(default)s)")
    board.add_argument("--board", choices=["virt", "rpi4"], default=DEFAULTS["board"],
                       help="QEMU's virt or the Raspberry Pi 4, QEMU's raspi4b (%(default)s)")
    for name, metavar, what in (("cpu", "MODEL", "QEMU's name of the core"),
                                ("gic", "2|3", "version of the interrupt controller"),
                                ("cores", "N", "number of cores"),
                                ("memory_mib", "N", "size of RAM")):
        kind = {"cpu": str, "gic": gic_version}.get(name, positive)
        board.add_argument("--" + name.replace("_", "-"), metavar=metavar, type=kind, default=None,
                           help=f"{what} ({DEFAULTS[name]}; rpi4: {RPI4[name]}, no other)")
    board.add_argument("--icount", action="store_true",
                       help="count instructions instead of time: runs repeat exactly")
    board.add_argument("--qemu", metavar="PATH", default=None,
                       help="the QEMU to use ($WEIR_QEMU, else qemu-system-aarch64)")


def board_keywords(options) -> dict:
    """What qemu_command takes of the options. Raises Mistake for what the board does not have."""
    names = ["weir", "board", "cpu", "gic", "cores", "memory_mib", "icount", "qemu"]
    keywords = {name: getattr(options, name) for name in names}
    for name, only in RPI4.items():
        if keywords[name] is None:
            keywords[name] = only if options.board == "rpi4" else DEFAULTS[name]
        elif options.board == "rpi4" and keywords[name] != only:
            raise Mistake(f"--{name.replace('_', '-')}: the Raspberry Pi 4 has {only}, no other")
    if options.board == "rpi4":
        require_files([RPI4_TREE], "`make run BOARD=rpi4` or `make rpi4` fetches the board's tree")
    return keywords
