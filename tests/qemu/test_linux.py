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
from test_partition import entries

OURS, EXTRA = ROOT / "build/linux", ROOT / "build/tests/qemu/linux"
TROUBLE = "bug|oops|stall|warning|unhandled|unexpected|call trace|lockup"
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

    def check_health(self, cpus):
        """What was said since the boot, interrupts on each CPU and none in error, a clock that does not go back."""
        self.do(f"dmesg | grep -ciE '{TROUBLE}'", "0")
        self.do("awk '/arch_timer/ {for (i = 2; i < NF; i++) n += $i > 0 && $i !~ /[^0-9]/} /^Err/ {print n - 1, $2}' "
                "/proc/interrupts", f"{cpus} 0")
        self.do("for i in $(seq 60); do cat /proc/uptime; done | awk '$1 < t {n++} {t = $1} END {print n + 0}'", "0")

    def address(self):
        """Where the kernel is, which is another place in each life."""
        self.do("dmesg | grep -c 'KASLR enabled'", "1")
        return self.do("head -n 1 /proc/kallsyms", r"(ffff\w{12}) \w \S+")[1]

    def power_off(self):
        self.type("poweroff")
        self.said(r"\[ *[\d.]+\] reboot: Power down")


def start(boot, image, **board):
    return boot(existing(image), **({} if "board" in board else dict(memory_mib=1024)), **board)


@pytest.mark.parametrize("image, version, cpus, board", [
    (EXTRA / "four-6.1.dtb", r"6\.1\.\d.*", 4, VIRT[0]),  # on two cores
    (OURS / "linux-6.1.dtb", r"6\.1\.\d.*", 2, VIRT[1]),
    (OURS / "linux-6.12.dtb", r"6\.12\.\d.*", 2, VIRT[0]),
], ids=lambda value: board_name(value) if isinstance(value, dict) else getattr(value, "stem", ""))
def test_shell(boot, image, version, cpus, board):
    machine = start(boot, image, **board)
    shell = Shell(machine)
    shell.prompt()
    shell.do("uname -sr", f"Linux {version}")
    shell.do("grep -c processor /proc/cpuinfo", str(cpus))
    shell.do("echo $((6 * 7))", "42")
    shell.do("ls /sys/bus/event_source/devices | grep -c armv8_pmuv3", str(int("four" in image.name)))
    shell.type("cd /sys/devices/system/cpu")  # all but the first go off and come on again
    shell.prompt()
    shell.do("for n in 0 1 0 1; do for c in cpu[1-9]; do echo $n >$c/online; done; nproc; done | xargs",
             f"1 {cpus} 1 {cpus}")
    shell.check_health(cpus)
    shell.power_off()
    assert LAST_LINE in machine.end()


def suspend(shell):
    """To idle, with its devices off, until something is typed."""
    shell.do("echo enabled >/sys/class/tty/ttyAMA0/power/wakeup; cat /sys/class/tty/ttyAMA0/power/wakeup", "enabled")
    shell.type("dmesg -n 8; echo freeze >/sys/power/state; dmesg -n 1; echo awake")
    shell.said(r"\[ *[\d.]+\] printk: Suspending console\(s\).*")
    for _ in range(120):
        shell.type("")  # before it sleeps that wakes nothing
        if "[linux] awake" in shell.machine.listen(1):
            break
    shell.do("echo $((6 * 9))", "54")


# From inside, in the usual way, and by a panic.
@pytest.mark.parametrize("image, board, again", [
    ("disk-6.1", VIRT[0], "reboot"),
    ("disk-6.12", VIRT[1], "echo 1 >/proc/sys/kernel/panic; echo c >/proc/sysrq-trigger"),
], ids=["6.1-gic2", "6.12-gic3"])
def test_reboot_from_inside_with_a_disk(boot, tmp_path, image, board, again):
    """What was written to the ramdisk is gone, and what was written to the virtio disk is there, and on the host."""
    disk = tmp_path / "disk"
    mtools("mformat", disk, "-C", "-T", "32768", "::")
    machine = start(boot, OURS / f"{image}.dtb", disks=[disk], **board)
    shell = Shell(machine)
    shell.prompt()
    shell.do("grep /dev/vda /proc/mounts", r"/dev/vda /mnt vfat rw,.*")
    suspend(shell)
    shell.do("seq 20000 >/mnt/numbers; md5sum </mnt/numbers; sync", NUMBERS + "  -")
    shell.do("echo from virtio >/dev/hvc0; sleep 1", "from virtio")
    shell.do("touch /tmp/gone; ls /tmp", "gone")
    first = shell.address()
    shell.type(again)
    machine.wait_for("^weir: linux starts again$")
    shell.prompt()
    shell.do("grep -c processor /proc/cpuinfo; ls /tmp", "2")
    assert shell.address() != first
    shell.do("md5sum </mnt/numbers", NUMBERS + "  -")
    shell.check_health(2)
    shell.power_off()
    lines = machine.end()
    assert lines.count("[linux] gone") == 1 and LAST_LINE in lines
    check_file(disk, "numbers")


def mtools(program, disk, *words):
    return subprocess.run([program, "-i", disk, *words], check=True, timeout=60, stdout=subprocess.PIPE).stdout


def check_file(disk, name):
    assert mtools("mtype", disk, f"::{name}") == SEQUENCE


FIRST = 2048  # sector of the partition


def disk_with_partition(path, mib):
    """What mtools calls it; it may be booted from."""
    sectors = mib * 2048
    path.write_bytes((bytes(446) + entries((0x80, 0x0C, FIRST, sectors - FIRST))).ljust(sectors * 512, b"\0"))
    mtools("mformat", f"{path}@@{FIRST * 512}", "-T", str(sectors - FIRST), "::")
    return f"{path}@@{FIRST * 512}"


def test_partition_of_the_raspberry_pis_card(boot, tmp_path):
    card = tmp_path / "card"
    partition = disk_with_partition(card, 32)
    machine = start(boot, EXTRA / "card-6.1.dtb", disks=[card], **RPI4_IN_TURNS)
    shell = Shell(machine)
    shell.prompt()
    shell.do("grep /dev/vda /proc/mounts", r"/dev/vda /mnt vfat rw,.*")
    shell.do("seq 20000 >/mnt/numbers; md5sum </mnt/numbers", NUMBERS + "  -")
    shell.type("reboot")
    machine.wait_for("^weir: linux starts again$")
    shell.prompt()
    shell.do("md5sum </mnt/numbers", NUMBERS + "  -")
    shell.check_health(4)
    shell.power_off()
    assert LAST_LINE in machine.end()
    check_file(partition, "numbers")


def test_u_boot_boots_what_is_on_the_disk(boot, tmp_path):
    """Raw, and linked to flash, where QEMU's virt has it: it runs where it lies. Nothing is typed at it."""
    menu, disk = tmp_path / "extlinux.conf", tmp_path / "disk"
    menu.write_text("label linux\nkernel /vmlinuz\ninitrd /ramdisk.cpio\nappend console=ttyAMA0 quiet\n")
    partition = disk_with_partition(disk, 64)
    mtools("mmd", partition, "::extlinux")
    mtools("mcopy", partition, menu, "::extlinux")
    mtools("mcopy", partition, *(existing(OURS / "6.1" / name) for name in ("vmlinuz", "ramdisk.cpio")), "::")
    machine = start(boot, EXTRA / "u_boot-6.1.dtb", disks=[disk], **VIRT[0])
    shell = Shell(machine)
    for word in "reboot", "poweroff":
        shell.said(r"U-Boot \d+\.\d+.*")
        shell.prompt()
        shell.do("grep -c processor /proc/cpuinfo", "2")
        shell.type(word)
    assert LAST_LINE in machine.end()


def test_shell_on_virtio(boot, tmp_path):
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(1 << 20))
    machine = start(boot, EXTRA / "hvc-6.12.dtb", disks=[disk], **VIRT[1])
    shell = Shell(machine)
    shell.prompt()
    shell.do("uname -r", r"6\.12\.\d.*")
    shell.do("tty", "/dev/hvc0")
    shell.do("grep -c processor /proc/cpuinfo", "1")
    shell.do("seq 3000 | md5sum", hashlib.md5(SEQUENCE[: SEQUENCE.index(b"3001\n")]).hexdigest() + "  -")
    shell.do("seq 500 | tail -n 2", "500")
    shell.type("poweroff")  # and the kernel stops its virtio devices before its last words
    assert LAST_LINE in machine.end()


COPY = ("seq 20000 >/mnt/one; n=0; while [ $n -lt 40 ]; do cat /mnt/one >>/mnt/all; n=$((n + 1)); done; "
        "cp /mnt/all /mnt/two; sync; echo 3 >/proc/sys/vm/drop_caches; md5sum </mnt/two; poweroff")


def test_two_beside_a_bare_metal_vm(boot, tmp_path):
    """Both shells, by the monitor, both disks at the same time; and the bare-metal VM's own tests of time hold."""
    disks = [tmp_path / "one", tmp_path / "two"]
    for disk in disks:
        mtools("mformat", disk, "-C", "-T", "32768", "::")
    machine = start(boot, EXTRA / "beside-6.1.dtb", disks=disks, **VIRT[0])
    first, second = Shell(machine, "first"), Shell(machine, "second")
    machine.wait_for(r"^\[second\] Linux \S+ on 2 CPUs")
    first.type("")
    first.prompt()
    first.do("grep -c processor /proc/cpuinfo", "1")
    first.type(COPY)
    machine.type("\x1d\x1d")  # the monitor, and on to the next VM
    second.type("")
    second.prompt()
    second.do("uname -s", "Linux")
    second.type(COPY)
    lines = machine.end()
    check_tap(lines, ["bare-metal"])
    whole = hashlib.md5(40 * SEQUENCE).hexdigest()
    for vm, disk in zip(("first", "second"), disks):
        assert f"[{vm}] {whole}  -" in lines
        check_file(disk, "one")
    assert not [line for line in lines if re.search(r"\[\w+\] .*(BUG|Oops|stall)", line)]
