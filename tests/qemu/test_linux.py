"""
Debian's kernels, as they come, to a shell that is typed at: `make linux` boots the same. They are downloaded (about
150 MB, once); where that cannot be had, `make tests-build` says why, and these tests fail.
"""

import hashlib
import re
import subprocess

import pytest

from conftest import ROOT, existing
from machine import LAST_LINE, check_tap
from test_guests import RPI4, VIRT, board_name

OURS, EXTRA = ROOT / "build/linux", ROOT / "build/tests/qemu/linux"
SEQUENCE = "".join(f"{n}\n" for n in range(1, 20001)).encode()  # as `seq 20000` writes it
NUMBERS = hashlib.md5(SEQUENCE).hexdigest()
# QEMU runs the four cores in turns: as threads of a busy host each would wait for a lock that a sleeping one has.
RPI4_IN_TURNS = dict(RPI4, extra=["-accel", "tcg,thread=single"])


class Shell:
    """Types at a VM's shell, and reads what it says."""

    def __init__(self, machine, vm="linux"):
        self.machine, self.vm = machine, vm

    def prompt(self):
        self.machine.wait_for_part(rf"\[{self.vm}\] linux:\S+[#$] ")

    def type(self, command):
        self.machine.type(command + "\r")

    def said(self, expression):
        return self.machine.wait_for(rf"^\[{self.vm}\] (?:{expression})$")

    def do(self, command, answer):
        """A command, a line of its answer, and the prompt again."""
        self.type(command)
        match = self.said(answer)
        self.prompt()
        return match

    def power_off(self):
        self.type("poweroff")
        self.said(r"\[ *[\d.]+\] reboot: Power down")


def start(boot, image, **board):
    return boot(existing(image), **({} if "board" in board else dict(memory_mib=1024)), **board)


@pytest.mark.parametrize("image, version, cpus, board", [
    (EXTRA / "four-6.1.dtb", r"6\.1\.\d.*", 4, VIRT[0]),  # on two cores
    (OURS / "linux-6.1.dtb", r"6\.1\.\d.*", 2, VIRT[1]),
    (OURS / "linux-6.12.dtb", r"6\.12\.\d.*", 2, VIRT[0]),
    (OURS / "linux-6.1.dtb", r"6\.1\.\d.*", 2, RPI4_IN_TURNS),
], ids=lambda value: board_name(value) if isinstance(value, dict) else getattr(value, "stem", ""))
def test_shell(boot, image, version, cpus, board):
    machine = start(boot, image, **board)
    shell = Shell(machine)
    shell.prompt()
    shell.do("uname -sr", f"Linux {version}")
    shell.do("grep -c processor /proc/cpuinfo", str(cpus))
    shell.do("echo $((6 * 7))", "42")
    shell.do("dmesg | grep -ciE 'bug|oops|stall'", "0")
    shell.power_off()
    assert LAST_LINE in machine.end()


@pytest.mark.parametrize("image, board", [("disk-6.1", VIRT[0]), ("disk-6.12", VIRT[1])], ids=["6.1-gic2", "6.12-gic3"])
def test_reboot_from_inside_with_a_disk(boot, tmp_path, image, board):
    """What was written to the ramdisk is gone, and what was written to the virtio disk is there, and on the host."""
    disk = tmp_path / "disk"
    subprocess.run(["mformat", "-C", "-T", "32768", "-i", disk, "::"], check=True, timeout=60)
    machine = start(boot, OURS / f"{image}.dtb", disks=[disk], **board)
    shell = Shell(machine)
    shell.prompt()
    shell.do("grep /dev/vda /proc/mounts", r"/dev/vda /mnt vfat rw,.*")
    shell.do("seq 20000 >/mnt/numbers; md5sum </mnt/numbers", NUMBERS + "  -")
    shell.do("echo from virtio >/dev/hvc0; sleep 1", "from virtio")
    shell.do("touch /tmp/gone; ls /tmp", "gone")
    shell.type("reboot")
    machine.wait_for("^weir: linux starts again$")
    shell.prompt()
    shell.do("grep -c processor /proc/cpuinfo; ls /tmp", "2")
    shell.do("md5sum </mnt/numbers", NUMBERS + "  -")
    shell.power_off()
    lines = machine.end()
    assert lines.count("[linux] gone") == 1 and LAST_LINE in lines
    read = subprocess.run(["mtype", "-i", disk, "::numbers"], check=True, timeout=60, stdout=subprocess.PIPE)
    assert read.stdout == SEQUENCE


def test_shell_on_virtio(boot, tmp_path):
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(1 << 20))
    machine = start(boot, EXTRA / "hvc-6.1.dtb", disks=[disk], **VIRT[1])
    shell = Shell(machine)
    shell.prompt()
    shell.do("tty", "/dev/hvc0")
    shell.do("grep -c processor /proc/cpuinfo", "1")
    shell.do("seq 3000 | md5sum", hashlib.md5(SEQUENCE[: SEQUENCE.index(b"3001\n")]).hexdigest() + "  -")
    shell.do("seq 500 | tail -n 2", "500")
    shell.type("poweroff")  # and the kernel stops its virtio devices before its last words
    assert LAST_LINE in machine.end()


def test_two_beside_a_bare_metal_vm(boot):
    """Both shells, by the monitor; and the bare-metal VM's own tests of time hold."""
    machine = start(boot, EXTRA / "beside-6.1.dtb", **VIRT[0])
    first, second = Shell(machine, "first"), Shell(machine, "second")
    machine.wait_for(r"^\[second\] Linux \S+ on 2 CPUs")
    first.type("")
    first.prompt()
    first.do("grep -c processor /proc/cpuinfo", "1")
    first.power_off()
    machine.type("\x1d\x1d")  # the monitor, and on to the next VM
    second.type("")
    second.prompt()
    second.do("uname -s", "Linux")
    second.power_off()
    lines = machine.end()
    check_tap(lines, ["bare-metal"])
    assert not [line for line in lines if re.search(r"\[\w+\] .*(BUG|Oops|stall)", line)]
