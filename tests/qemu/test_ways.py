"""Every way to hand Weir and its system image to a machine, and every machine that QEMU's virt can be."""

import pathlib
import re
import subprocess

import pytest

from conftest import edited_tree
from machine import LAST_LINE, Failure, check_tap
from test_guests import make_disks
from weirlib import qemu

ROOT = pathlib.Path(__file__).resolve().parents[2]
U_BOOT = "/usr/lib/u-boot/qemu_arm64/u-boot.bin"
BOARDS = [dict(gic=2, cpu="cortex-a53", cores=3), dict(gic=3, cpu="cortex-a76", cores=2)]


def board_name(board):
    return "-".join(str(value) for value in board.values())


each_board = pytest.mark.parametrize("board", BOARDS, ids=board_name)


@pytest.fixture
def made(tmp_path):
    """A file made by tools/weir."""
    def make(command, image, *words):
        out = tmp_path / command
        subprocess.run([ROOT / "tools/weir", command, image, "-o", out, *words], check=True)
        return out
    return make


def check(machine, cores, expected=(), vms=("many", "one")):
    """The image boot.dts, as on any other way; and how many cores Weir has. The lines before that."""
    machine.wait_for(rf"^weir: {len(vms)} VMs on {cores} cores")
    before = [line for line in machine.lines if line.startswith("weir: ")][:-1]
    lines = machine.end()
    check_tap(lines, vms)
    assert LAST_LINE in lines
    for line in before:
        if not any(text in line for text in expected):
            raise Failure(f"not expected: {line!r}")
    for text in expected:
        assert any(text in line for line in before), f"no line has {text!r}"


# ---- Ways ----

@each_board
def test_joined_file_as_kernel(boot, image, made, board):
    check(boot(None, weir=made("join", image("boot")), **board), board["cores"])


@each_board
def test_joined_file_in_flash(boot, image, made, board):
    check(boot(None, bios=made("join", image("boot"), "--bios"), **board), board["cores"])


@each_board
def test_u_boot_with_a_ramdisk(boot, image, made, board):
    """By the command that QEMU's U-Boot runs when nobody types."""
    machine = boot(made("wrap", image("boot")), bios=U_BOOT, **board,
                   extra=["-kernel", ROOT / "build/weir.bin"])
    machine.wait_for("^Starting kernel")
    check(machine, board["cores"])


def without_autoboot(text):
    """U-Boot waits for who types, not for two seconds."""
    return text.rstrip().removesuffix("};") + "config { bootdelay = <0xffffffff>; }; };"


@each_board
def test_u_boot_without_a_ramdisk(boot, image, made, tree, board):
    machine = boot(None, bios=U_BOOT, **board, extra=[
        "-kernel", made("join", image("boot")), "-dtb", tree(without_autoboot, **board)])
    machine.wait_for_part("=> ")
    machine.type("qfw load $kernel_addr_r $ramdisk_addr_r; booti $kernel_addr_r - $fdtcontroladdr\n")
    machine.wait_for("^Starting kernel")
    check(machine, board["cores"])


def test_the_passed_image_goes_before_the_joined_one(boot, image, made):
    """As when another configuration is tried; `typed` would wait for ever."""
    machine = boot(image("boot"), weir=made("join", image("typed")))
    check(machine, 2, expected=["this system image is taken, not the one that is joined"])


def test_flash_file_larger_than_memory_says_so(boot, image, made):
    path = made("join", image("boot"), "--bios")
    data = bytearray(path.read_bytes())
    data[4096 + 16 : 4096 + 24] = (63 << 20).to_bytes(8, "little")  # what the stub copies
    path.write_bytes(data)
    machine = boot(None, bios=path, memory_mib=64)
    machine.wait_for("^weir: flash: the joined file does not fit into the machine's memory: ")


@pytest.mark.parametrize("way", ["-kernel", "-bios"])
def test_the_wrong_exception_level_is_told(boot, image, made, way):
    """The last -M wins; all that a machine without EL2 can do is to tell."""
    files = dict(image=image("boot")) if way == "-kernel" else dict(
        image=None, bios=made("join", image("boot"), "--bios"))
    machine = boot(**files, extra=["-M", "virt,virtualization=off"])
    machine.wait_for("^weir: entered at the wrong exception level: start it at EL2")


# ---- Where things lie ----

def loaded_at(path, offset, size=None):
    """Weir with another text_offset: QEMU puts it there, counted from the start of RAM."""
    data = bytearray((ROOT / "build/weir.bin").read_bytes())
    data[8:16] = offset.to_bytes(8, "little")
    if size:
        data[16:24] = size.to_bytes(8, "little")
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("offset", [0x1000, 0x1ff000, 0x3ff000, 0x7654000])
def test_any_page_will_do(boot, image, tmp_path, offset):
    check(boot(image("boot"), weir=loaded_at(tmp_path / "weir.bin", offset)), 2)


def test_a_large_file_moves_the_ramdisk(boot, image, tmp_path):
    """QEMU's place for it is the middle of RAM, which this file covers."""
    weir = loaded_at(tmp_path / "weir.bin", 0, size=40 << 20)
    check(boot(image("boot"), weir=weir, memory_mib=64), 2,
          expected=["this system image is taken, not the one that is joined"])


# ---- Machines ----

@pytest.mark.parametrize("cpu, gic, cores", [
    ("cortex-a53", 2, 2), ("cortex-a53", 3, 5), ("cortex-a72", 2, 8), ("cortex-a72", 3, 8),
    ("cortex-a76", 2, 6), ("cortex-a76", 3, 3), ("max", 2, 7), ("max", 3, 8),
])
def test_every_core_runs_a_vcpu(boot, image, cpu, gic, cores):
    check(boot(image("cores"), cpu=cpu, gic=gic, cores=cores), cores, vms=["many"])


def test_cores_beyond_the_eighth_stay_off(boot, image):
    expected = [f"/cpus/cpu@{n}: reg: one core too many; it stays off" for n in (8, 9)]
    check(boot(image("cores"), gic=3, cores=10), 8, expected, vms=["many"])


@each_board
def test_with_assertions(boot, image, board):
    check(boot(image("boot"), weir="build/debug/weir.bin", **board), board["cores"])


@pytest.fixture
def tree(tmp_path):
    """tree(edit, **board): the file of QEMU's tree for the machine, its text changed by `edit`."""
    def make(edit, **board):
        blob = tmp_path / "qemu.dtb"
        command = qemu.qemu_command(None, **board, extra=["-M", f"virt,dumpdtb={blob}"])
        subprocess.run(command, check=True, capture_output=True)
        return edited_tree(blob, edit, tmp_path)
    return make


def add_core(text):
    """A core 5 in front of all others, which the firmware does not know."""
    node = 'cpu@5 { device_type = "cpu"; compatible = "arm,armv8"; enable-method = "psci"; reg = <5>; };'
    return re.sub(r"(cpus \{(?:\s*#\S+ = <\w+>;)*)", rf"\1 {node}", text)


@each_board
def test_a_core_that_firmware_does_not_start_is_left_out(boot, image, tree, board):
    """All vCPUs are on the cores that are there."""
    machine = boot(image("cores"), extra=["-dtb", tree(add_core, **board)], **board)
    check(machine, board["cores"], vms=["many"], expected=[
        "/cpus/cpu@5: reg: expected a core that firmware starts (PSCI CPU_ON says -2); it stays off"])


def with_spin_table(text):
    method = 'enable-method = "spin-table"; cpu-release-addr = <0 0x40000100>'
    head, tail = text.split("cpu@1 {")
    return f"{head}cpu@1 {{" + tail.replace('enable-method = "psci"', method, 1)


def test_a_core_that_never_comes_ends_the_list(boot, image, tree):
    """QEMU's core 1 is off and reads no spin table."""
    board = dict(cores=3)
    check(boot(image("cores"), extra=["-dtb", tree(with_spin_table, **board)], **board), 1,
          vms=["many"], expected=["/cpus/cpu@1: reg: it was started, but did not come within 1000 ms; "
                                  "it and those behind it stay off"])


def test_cores_that_share_a_release_address_stay_off(boot, image, tree):
    def edit(text):
        text = with_spin_table(text)
        return with_spin_table(text.replace("cpu@1 {", "cpu@one {", 1).replace("cpu@2 {", "cpu@1 {", 1))

    board = dict(cores=4)
    check(boot(image("cores"), extra=["-dtb", tree(edit, **board)], **board), 2, vms=["many"],
          expected=[f"/cpus/cpu@{n}: cpu-release-addr: expected one that no other core has; it stays off"
                    for n in (1, 2)])


def test_a_tree_without_psci_leaves_the_boot_core(boot, image, tree, made):
    """Nobody can turn that machine off."""
    edited = tree(lambda text: re.sub(r"psci \{[^}]*\};", "", text), cores=2)
    machine = boot(None, bios=made("join", image("boot"), "--bios", "--tree", edited))
    machine.wait_for(r"^weir: tree: /cpus/cpu@1: reg: .*PSCI CPU_ON says -1.*; it stays off")
    machine.wait_for("^weir: 2 VMs on 1 cores")
    machine.wait_for(f"^{LAST_LINE}$")
    check_tap(machine.lines, ["many", "one"])


# ---- Memory ----

VMS = """/dts-v1/;
/ {
	compatible = "weir,system";
	vms {
		%s
	};
};
"""


def vms_image(folder, *vms):
    """An image of VMs vm0, vm1... that boot.bin runs in, of each a text of properties."""
    nodes = "".join(f'vm{n} {{ kernel = /incbin/("boot.bin"); {text} }};\n'
                    for n, text in enumerate(vms))
    (folder / "vms.dts").write_text(VMS % nodes)
    subprocess.run([ROOT / "tools/weir", "image", folder / "vms.dts", "-o", folder / "vms.dtb",
                    "-I", ROOT / "build/tests/guest"], check=True, capture_output=True)
    return folder / "vms.dtb"


RAM_BASE = 0x40000000
MIB = 1 << 20


class Ram:
    """RAM of 256 MiB that is a file: what may not be touched is filled before, and read after."""

    PATTERN = bytes(range(1, 256)) * 257

    def __init__(self, path, kept):
        self.path = path
        self.kept = [(start - RAM_BASE, end - RAM_BASE) for start, end in kept]
        with open(path, "wb") as file:
            file.truncate(256 * MIB)
            for start, end in self.kept:
                file.seek(start)
                file.write((self.PATTERN * ((end - start) // len(self.PATTERN) + 1))[: end - start])

    def options(self):
        backend = f"memory-backend-file,id=ram,size=256M,share=on,mem-path={self.path}"
        return ["-object", backend, "-M", "virt,memory-backend=ram"]

    def check(self):
        with open(self.path, "rb") as file:
            for start, end in self.kept:
                file.seek(start)
                expected = (self.PATTERN * ((end - start) // len(self.PATTERN) + 1))[: end - start]
                same = file.read(end - start) == expected
                assert same, f"{RAM_BASE + start:x} to {RAM_BASE + end:x}: was written"


# By nodes the top, where VMs would get their RAM, and pieces of pages; by the reserve map the rest.
RESERVED = [(0x4a000000, 0x50000000), (0x42345678, 0x4234abcd)]
RESERVE_MAP = [(0x43000000, 0x43800000)]


def with_reserved(text):
    nodes = "".join(f"r@{start:x} {{ reg = <0 {start:#x} 0 {end - start:#x}>; }}; "
                    for start, end in RESERVED)
    lines = "".join(f"/memreserve/ {start:#x} {end - start:#x};\n" for start, end in RESERVE_MAP)
    text = text.replace("/dts-v1/;", f"/dts-v1/;\n{lines}", 1)
    return text.rstrip().removesuffix("};") + (
        f"reserved-memory {{ #address-cells = <2>; #size-cells = <2>; ranges; {nodes} }}; }};")


@each_board
def test_reserved_memory_is_left_alone(boot, image, tree, tmp_path, board):
    board = dict(board, memory_mib=256)
    ram = Ram(tmp_path / "ram", RESERVED + RESERVE_MAP)
    check(boot(image("boot"), **board, extra=[*ram.options(), "-dtb", tree(with_reserved, **board)]),
          board["cores"])
    ram.check()


BANKS = [(0x40000000, 0x41000000), (0x42001000, 0x42100000), (0x48000000, 0x48800000)]
HOLES = [(0x41000000, 0x42001000), (0x42100000, 0x48000000), (0x48800000, 0x50000000)]


def cells(number):
    return f"{number >> 32:#x} {number & 0xffffffff:#x}"


def with_banks(text, banks=BANKS):
    first, *others = (f"<{cells(start)} {cells(end - start)}>" for start, end in banks)
    nodes = "".join(f'memory@{n} {{ device_type = "memory"; reg = {reg}; }}; '
                    for n, reg in enumerate(others))
    return re.sub(r"memory@40000000 \{[^}]*\};",
                  f'{nodes} memory@40000000 {{ device_type = "memory"; reg = {first}; }};', text)


@each_board
def test_memory_between_banks_is_left_alone(boot, image, tree, made, tmp_path, board):
    """In flash, with a tree of its own: QEMU writes the memory nodes of every other tree anew."""
    board = dict(board, memory_mib=256)
    ram = Ram(tmp_path / "ram", HOLES)
    flash = made("join", image("boot"), "--bios", "--tree", tree(with_banks, **board))
    check(boot(None, bios=flash, **board, extra=ram.options()), board["cores"])
    ram.check()


# Of 8 GiB the last 64 MiB, and 1.5 at the start, in which Weir lies and leaves too little for a VM.
HIGH = [(0x40100000, 0x40280000), (0x23c000000, 0x240000000)]


@each_board
def test_vm_and_heap_above_4_gib(boot, tree, made, tmp_path, board):
    board = dict(board, memory_mib=8192)
    edited = tree(lambda text: with_banks(text, HIGH), **board)
    flash = made("join", vms_image(tmp_path, "memory-mib = <40>;"), "--bios", "--tree", edited)
    check(boot(None, bios=flash, **board), board["cores"], vms=["vm0"])


# As the Raspberry Pi 4 has its memory: below the GPU's, below the devices, above 4 GiB.
THREE = [(0x40000000, 0x4b400000), (0x50000000, 0x5c000000), (0x100000000, 0x110000000)]


@each_board
def test_vms_fill_three_banks(boot, tree, made, tmp_path, board):
    """Each VM needs most of a bank; the last one that of the heap. One more has no place."""
    board = dict(board, memory_mib=8192)
    image = vms_image(tmp_path, *["memory-mib = <160>;"] * 4)
    flash = made("join", image, "--bios", "--tree", tree(lambda text: with_banks(text, THREE), **board))
    check(boot(None, bios=flash, **board), board["cores"], vms=["vm0", "vm1", "vm2"],
          expected=["manifest: /vms/vm3: memory-mib: the machine has not so much memory"])


def test_disks_and_memory_above_4_gib(boot, image, tree, made, tmp_path):
    edited = tree(lambda text: with_banks(text, HIGH), memory_mib=8192)
    flash = made("join", image("block"), "--bios", "--tree", edited)
    machine = boot(None, bios=flash, memory_mib=8192, disks=make_disks(tmp_path, 2, {}, ()))
    check_tap(machine.end(), ["user"])


@pytest.mark.parametrize("memory_mib", [64, 8192])
def test_flash_with_little_and_much_memory(boot, image, made, memory_mib):
    check(boot(None, bios=made("join", image("boot"), "--bios"), memory_mib=memory_mib), 2)


def test_an_image_outside_memory_is_refused(boot, image, tree, made):
    edited = tree(lambda text: text.replace(
        "chosen {", "chosen { linux,initrd-start = <0x70000000>; linux,initrd-end = <0x70001000>;"))
    machine = boot(None, bios=made("join", image("boot"), "--bios", "--tree", edited))
    machine.wait_for("^weir: /chosen: linux,initrd-start: expected a system image in the memory that ")
    machine.end()


@pytest.mark.parametrize("weir", ["build/weir.bin", "build/debug/weir.bin"])
def test_vms_that_leave_the_hypervisor_no_memory_are_refused(boot, tmp_path, weir):
    """As many as fit run; the others are named, and the one that asks for little still fits."""
    size = "memory-mib = <1>; "
    vms = [size + 'window-kib = <737280>; peers = "vm24";'] * 12 + [size + "ports = <8192>; vcpus = <8>;"] * 12 + [size]
    machine = boot(vms_image(tmp_path, *vms), weir=weir, memory_mib=64)
    lines = machine.end()
    refused = dict(re.match(r"weir: manifest: /vms/(\w+): ([a-z-]+): the hypervisor needs ", line).groups()
                   for line in lines if line.startswith("weir: manifest: "))
    runs = [f"vm{n}" for n in range(len(vms)) if f"vm{n}" not in refused]
    assert {refused[f"vm{n}"] for n in range(12) if f"vm{n}" in refused} == {"window-kib"}
    assert {refused[f"vm{n}"] for n in range(12, 24) if f"vm{n}" in refused} == {"ports"}
    assert "vm0" in runs and "vm24" in runs
    check_tap(lines, runs)
