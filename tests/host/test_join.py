"""tools/weir join and wrap: what the files hold, and a line for each mistake."""

import pathlib
import subprocess
import sys
import zlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from weirlib import join  # noqa: E402

OWN_BYTES = 0x3000  # of the made-up hypervisor; its file is shorter: .bss is not in it
IMAGE = b"\xd0\x0d\xfe\xed" + bytes(range(200))
STUB = bytes(16) + b"weir virt flash\0" + b"stub" * 100


def firmware(file_bytes=0x2345):
    data = bytearray(b"w" * file_bytes)
    data[16:24] = data[64:72] = OWN_BYTES.to_bytes(8, "little")
    data[56:60] = b"ARM\x64"
    return bytes(data)


@pytest.fixture
def folder(tmp_path):
    files = {"weir.bin": firmware(), "image.dtb": IMAGE, "flash.bin": STUB, "text": b"weir" * 99,
             "tree.dtb": b"\xd0\x0d\xfe\xedtree", "large.dtb": IMAGE + bytes(64 << 20)}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def weir(folder, *words):
    command = [ROOT / "tools/weir", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def made(folder, *words):
    done = weir(folder, *words, "-o", "out")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return (folder / "out").read_bytes()


def joined(folder, *words):
    return made(folder, "join", "image.dtb", "--weir", "weir.bin", *words)


def test_the_image_lies_behind_the_hypervisor_and_its_bss(folder):
    data = joined(folder)
    assert data[OWN_BYTES:] == IMAGE
    assert data[:16] == firmware()[:16] and data[24:0x2345] == firmware()[24:]
    assert set(data[0x2345:OWN_BYTES]) == {0}


def test_the_header_covers_the_image_and_the_own_size_stays(folder):
    data = joined(folder)
    assert int.from_bytes(data[16:24], "little") == len(data)
    assert int.from_bytes(data[64:72], "little") == OWN_BYTES


def test_the_flash_file_is_the_stub_and_the_joined_file(folder):
    data = joined(folder, "--bios")
    assert data[: len(STUB)] == STUB and set(data[len(STUB) : 4096]) == {0}
    assert data[4096:] == joined(folder)


def test_a_tree_of_the_users_own_is_named_to_the_stub(folder):
    data = joined(folder, "--bios", "--tree", "tree.dtb")
    at = int.from_bytes(data[8:16], "little")
    assert at % 4096 == 0 and data[at:] == (folder / "tree.dtb").read_bytes()


@pytest.mark.parametrize("words", [[], ["--bios"]])
def test_the_image_is_found_again(folder, words):
    data = joined(folder, *words)
    assert join.is_flash(data) == bool(words) and join.is_firmware(data) == (not words)
    assert join.system_image(data) == IMAGE
    assert join.system_image(firmware()) == b""


def test_the_ramdisk_is_what_u_boot_checks(folder):
    data = made(folder, "wrap", "image.dtb")
    assert data[64:] == IMAGE
    assert data[:4] == b"\x27\x05\x19\x56" and data[28:32] == bytes([5, 22, 3, 0])
    assert int.from_bytes(data[12:16], "big") == len(IMAGE)
    assert int.from_bytes(data[24:28], "big") == zlib.crc32(IMAGE)
    assert int.from_bytes(data[4:8], "big") == zlib.crc32(data[:4] + bytes(4) + data[8:64])


MISTAKES = {
    "join image.dtb --weir none": "none: there is no such file",
    "join none --weir weir.bin": "none: there is no such file: make one with `weir image`",
    "join image.dtb --weir text": "text: not the hypervisor",
    "join text --weir weir.bin": "text: not a system image",
    "join image.dtb --weir joined": "joined: has a system image already",
    "join image.dtb --weir weir.bin --bios --stub none": "none: there is no such file",
    "join image.dtb --weir weir.bin --tree tree.dtb": "--tree: the tree comes from the boot loader",
    "join large.dtb --weir weir.bin --bios": "flash holds 67108864",
    "wrap text": "text: not a system image",
    "wrap none": "none: there is no such file",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_one_line_and_makes_nothing(folder, words):
    (folder / "joined").write_bytes(join.join(firmware(), IMAGE, "", ""))
    done = weir(folder, *words.split(), "-o", "out")
    assert done.returncode == 1 and done.stdout == "" and not (folder / "out").exists()
    assert len(done.stderr.splitlines()) == 1 and MISTAKES[words] in done.stderr


@pytest.mark.parametrize("out", ["image.dtb", "weir.bin", "flash.bin"])
def test_what_it_is_made_of_is_not_replaced(folder, out):
    before = (folder / out).read_bytes()
    done = weir(folder, "join", "--bios", "image.dtb", "--weir", "weir.bin", "-o", out)
    assert done.returncode == 1 and f"{out}: would be replaced" in done.stderr
    assert (folder / out).read_bytes() == before


@pytest.mark.parametrize("words, option", [([], "-kernel"), (["--bios"], "-bios")])
def test_run_boots_a_joined_file_by_itself(folder, words, option):
    joined(folder, *words)
    done = weir(folder, "run", "out", "--dry-run")
    assert done.returncode == 0 and f"{option} out" in done.stdout and "-initrd" not in done.stdout
    assert done.stdout.count("-kernel") + done.stdout.count("-bios") == 1
