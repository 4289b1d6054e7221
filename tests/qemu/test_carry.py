"""The main job: tools/carry moves a file through two VMs, whatever its length."""

import random
import re
import shutil
import struct
import subprocess

import pytest

from conftest import ROOT, existing
from machine import LAST_LINE, failing_disk
from test_guests import VIRT, board_name

SIZES = {"0": 0, "1": 1, "511": 511, "512": 512, "513": 513, "5MiB": 5 << 20}


def carry(path, *options, timeout=400):
    return subprocess.run(
        [ROOT / "tools/carry", path, "--weir", existing(ROOT / "build/weir.bin"),
         "--image", existing(ROOT / "build/images/carry.dtb"), *options],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", timeout=timeout)


@pytest.fixture
def log(request):
    path = ROOT / "build/tests/qemu" / f"{request.node.name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    request.node.user_properties.append(("log", str(path)))
    return path


def check_carried(result, size, log):
    log.write_text(" ".join(map(str, result.args)) + "\n" + result.stdout)
    lines = result.stdout.splitlines()
    assert result.returncode == 0, result.stdout
    assert f": {size} bytes crossed from reader to writer, SHA-256 " in lines[-1]
    assert "weir: panic" not in result.stdout and "weir: fault" not in result.stdout
    assert [line for line in lines if line.startswith("weir: ")]


@pytest.mark.parametrize("size", SIZES)
def test_carry(tmp_path, size, log):
    path = tmp_path / "file"
    path.write_bytes(random.Random(size).randbytes(SIZES[size]))
    check_carried(carry(path), SIZES[size], log)


def words_of(board):
    """The options of tools/carry, named as the keywords are."""
    return [word for name, value in board.items() for word in (f"--{name}", str(value))]


@pytest.mark.parametrize("cores", [1, 4])
@pytest.mark.parametrize("board", VIRT, ids=board_name)
def test_carry_on_board(tmp_path, board, cores, log):
    path = tmp_path / "file"
    path.write_bytes(random.Random(cores).randbytes(300000))
    check_carried(carry(path, *words_of({**board, "cores": cores})), 300000, log)


# The Raspberry Pi has no other number of cores, and another driver below each length.
@pytest.mark.parametrize("size", SIZES)
def test_carry_on_the_raspberry_pi(tmp_path, size, log):
    path = tmp_path / "file"
    path.write_bytes(random.Random(size).randbytes(SIZES[size]))
    check_carried(carry(path, "--board", "rpi4"), SIZES[size], log)


def test_the_upcall_asks_for_progress_even_for_an_empty_file(tmp_path, log):
    path = tmp_path / "empty"
    path.write_bytes(b"")
    result = carry(path)
    check_carried(result, 0, log)
    assert re.search(r"^weir: reader: (done|\d+ %)", result.stdout, re.MULTILINE), result.stdout


# QEMU, but its disk fails: what -drive says of the image is replaced.
FAILING = """\
#!/usr/bin/python3
import os, sys
words = ["qemu-system-aarch64", *sys.argv[1:]]
words[words.index("-drive") + 1] = {drive!r}
os.execvp(words[0], words)
"""
SOURCE, COPY = 2048, 135168  # the sectors of the headers: configs/carry.dts


def second(event, iotype, **where):
    """The second time, and from then on."""
    return [dict(event=event, state=1, new_state=2),
            dict(event=event, state=2, iotype=iotype, **where)]


# Each with the one line that tells of it.
ERRORS = {
    "read-header": ([dict(iotype="read", sector=SOURCE)], "reader failed: read the header"),
    "read-data": ([dict(iotype="read", sector=SOURCE + 500)], "reader failed: read"),
    "clear-header": ([dict(iotype="write", sector=COPY)], "writer failed: clear the header"),
    "write-data": ([dict(iotype="write", sector=COPY + 500)], "writer failed: write"),
    "write-header": ([dict(event="flush_to_disk", state=1, new_state=2),
                      dict(event="flush_to_disk", state=2, new_state=3),
                      dict(event="pwritev", state=3, iotype="write", sector=COPY)],
                     "writer failed: write the header"),
    "flush-data": (second("flush_to_disk", "flush"), "writer failed: flush"),
    "flush-header": ([dict(event="flush_to_disk", state=1, new_state=2),
                      dict(event="flush_to_disk", state=2, new_state=3),
                      dict(event="flush_to_disk", state=3, iotype="flush")],
                     "writer failed: write the header"),
}

# QEMU's SD card keeps an error of its file to itself, so this is for virt only.
@pytest.mark.parametrize("board", VIRT, ids=board_name)
@pytest.mark.parametrize("name", ERRORS)
def test_an_error_of_the_disk_is_told_and_leaves_no_copy(tmp_path, name, board, log):
    path, disk, qemu = tmp_path / "file", tmp_path / "disk.img", tmp_path / "qemu"
    rules, line = ERRORS[name]
    drive = {"if": "none", "format": "raw", "id": "d0", **failing_disk(disk, *rules)}
    words = ",".join(f"{key}={value}" for key, value in drive.items())
    qemu.write_text(FAILING.format(drive=words))
    qemu.chmod(0o755)
    path.write_bytes(random.Random(name).randbytes(1 << 20))
    result = carry(path, "--qemu", qemu, "--disk", disk, *words_of(board))
    log.write_text(" ".join(map(str, result.args)) + "\n" + result.stdout)
    assert result.returncode == 1
    assert result.stdout.splitlines()[-1] == f"carry: file: {line}: I/O error"
    with open(disk, "rb") as file:
        file.seek(COPY * 512)
        assert not any(file.read(512))


def test_the_card_of_make_rpi4_does_the_job_with_the_files_on_it(boot, tmp_path):
    """What the firmware does, by hand: it takes kernel, system image and tree off the card and starts them."""
    data = random.Random("card").randbytes(300001)
    (tmp_path / "file").write_bytes(data)
    blob = existing(ROOT / "build/images/carry.dtb")
    files = tmp_path / "boot"
    files.mkdir()
    for name, source in (("kernel8.img", ROOT / "build/weir.bin"), ("weir.dtb", blob),
                         ("config.txt", ROOT / "configs/config.txt")):
        shutil.copy(source, files / name)
    disk = tmp_path / "sdcard.img"
    assert carry(tmp_path / "file", "--no-run", "--disk", disk).returncode == 0
    subprocess.run([ROOT / "tools/card", disk, files, "--image", blob], check=True)
    shutil.rmtree(files)
    with open(disk, "rb") as file:
        first = struct.unpack_from("<I", file.read(512), 446 + 8)[0]
    for name in re.findall(r"^(?:kernel=|initramfs )(\S+)", (ROOT / "configs/config.txt").read_text(), re.MULTILINE):
        subprocess.run(["mcopy", "-i", f"{disk}@@{first * 512}", f"::{name}", tmp_path], check=True)
    machine = boot(tmp_path / "weir.dtb", weir=tmp_path / "kernel8.img", board="rpi4", disks=[disk])
    assert LAST_LINE in machine.end()
    with open(disk, "rb") as file:
        file.seek(COPY * 512)
        assert struct.unpack_from("<8sQ", file.read(512)) == (b"WEIRFILE", len(data))
        assert file.read(len(data)) == data
