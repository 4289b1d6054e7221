"""Every way to hand Weir and its system image to a machine, and every machine that QEMU's virt can be."""

import pathlib
import subprocess

import pytest

from machine import LAST_LINE, Failure, check_tap

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


@each_board
def test_u_boot_without_a_ramdisk(boot, image, made, board):
    machine = boot(None, bios=U_BOOT, **board, extra=["-kernel", made("join", image("boot"))])
    machine.wait_for("^Net: ")
    machine.type("\nqfw load $kernel_addr_r $ramdisk_addr_r; booti $kernel_addr_r - $fdtcontroladdr\n")
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
