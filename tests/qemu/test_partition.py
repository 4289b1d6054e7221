"""
Disks that are partitions, on virtio's disks and on the Raspberry Pi's card: what the table says of them, what is said
of tables that are wrong, and the main job from one partition to another.
"""

import random
import shutil
import struct
import subprocess

import pytest

from conftest import ROOT, existing
from machine import LAST_LINE, check_tap, failing_disk
from test_carry import carry
from test_guests import RPI4, VIRT, board_name, make_disks

BOARDS = [VIRT[1], RPI4]  # each disk driver
ENTRY = struct.Struct("<B3xB3xII")
MARK = b"\x55\xaa"
FOUR = "four: 100 sectors from 8000"  # by its sectors, whatever the table says


def entries(*table):
    """Status, kind, first sector and sectors of each."""
    return b"".join(ENTRY.pack(*entry) for entry in table).ljust(64, b"\0") + MARK


GOOD = [(0x80, 0x0C, 64, 1000), (0, 0xDA, 1064, 3000), (0, 0x83, 4064, 1)]
FAT_MARK = {64: MARK}
NONE = "there is no partition table, for sector 0 does not end in 55 aa"
DAMAGED = "the partition table is damaged, "

# The table, marks of boot sectors, what the VM sees of its first three disks, and what the console says of them; for
# all three if it is one text.
TABLES = {
    "good": (entries(*GOOD), FAT_MARK, [(1000, 64), (3000, 1064), (1, 4064)], {}),
    "no-file-system": (entries(*GOOD), {}, [(1000, 64), (3000, 1064), (1, 4064)],
                       {"one": "its FAT file system is damaged, for its first sector does not end in 55 aa"}),
    "none": (bytes(66), {}, [None] * 3, NONE),
    "entry": (entries(*GOOD[:2], (0x21, 0, 0, 0)), {}, [None] * 3, DAMAGED + "entry 3 begins with 21"),
    "gpt": (entries((0, 0xEE, 1, 8191)), {}, [None] * 3, "the table is a GPT, which is not read"),
    "empty": (entries(GOOD[0], (0, 0, 1064, 3000), (0, 0x83, 4064, 0)), FAT_MARK, [(1000, 64), None, None],
              {"two": "it is empty", "three": "it is empty"}),
    "beyond": (entries(GOOD[0], GOOD[1], (0, 0x83, 8191, 2)), FAT_MARK, [(1000, 64), (3000, 1064), None],
               {"three": "sectors 8191+2 are not all among the 8191 behind the table"}),
    "overlap": (entries(GOOD[0], (0, 0xDA, 1063, 2), GOOD[2]), FAT_MARK, [None, None, (1, 4064)],
                {"one": DAMAGED + "1 overlaps 2", "two": DAMAGED + "2 overlaps 1"}),
    "another-disk": (entries(GOOD[0], (0, 0xDA, 8099, 1), (0, 0x83, 8099 - 99, 99)), FAT_MARK,
                     [(1000, 64), None, (99, 8000)],
                     {"two": "it overlaps /disks/four, and one of the two is written"}),
}
NUMBERS = {"one": 1, "two": 2, "three": 3}


def disk_with(folder, table, marks):
    path, = make_disks(folder, 1, {}, {})
    with open(path, "r+b") as file:
        for sector, mark in {0: table, **marks}.items():
            file.seek(sector * 512 + 512 - len(mark))
            file.write(mark)
    return path


def check_run(machine, device, seen, said):
    """The lines about disks, and what the VM found; both VMs have run."""
    lines = machine.end()
    check_tap(lines, ["asker", "good"])
    assert LAST_LINE in lines
    if isinstance(said, str):
        said = dict.fromkeys(NUMBERS, said)
    head = "weir: manifest: /disks/"
    assert [line.removeprefix(head) for line in lines if line.startswith(head)] == [
        f"{name}: partition: {NUMBERS[name]} of device 0 ({device}): {what}"
        + ("" if "file system" in what else "; its requests fail") for name, what in said.items()]
    found = ["none" if place is None else f"{place[0]} sectors from {place[1]}" for place in [*seen, (100, 8000)]]
    assert [line for line in lines if line.startswith("[asker] # disk ")] == [
        f"[asker] # disk {number}: {what}" for number, what in enumerate(found)]


def device_of(board):
    return "mmc@fe300000" if "board" in board else "virtio_mmio@a000000"


@pytest.mark.parametrize("board", BOARDS, ids=board_name)
@pytest.mark.parametrize("name", TABLES)
def test_partitions_are_where_the_table_says(boot, image, tmp_path, name, board):
    table, marks, seen, said = TABLES[name]
    machine = boot(image("partition"), disks=[disk_with(tmp_path, table, marks)], **board)
    check_run(machine, device_of(board), seen, said)


# QEMU's SD card keeps an error of its file to itself, so this is for virt only.
@pytest.mark.parametrize("board", BOARDS[:1], ids=board_name)
def test_a_table_that_cannot_be_read_is_told(boot, image, tmp_path, board):
    disk = failing_disk(disk_with(tmp_path, entries(*GOOD), FAT_MARK), dict(iotype="read", sector=0))
    check_run(boot(image("partition"), disks=[disk], **board), device_of(board), [None] * 3,
              "sector 0 cannot be read")


# ---- The main job: the parts of configs/carry.dts as partitions 2 and 3 ----

SOURCE, COPY, PART = 2048, 135168, 133120
TABLE = entries((0, 0, 0, 0), (0, 0xDA, SOURCE, PART), (0, 0xDA, COPY, PART))


@pytest.fixture
def job(tmp_path):
    """A system image that names partitions, a disk that has them, and the file that is to cross."""
    blob, disk = tmp_path / "carry.dtb", tmp_path / "disk.img"
    data = random.Random("partition").randbytes(200001)
    (tmp_path / "file").write_bytes(data)
    shutil.copy(existing(ROOT / "build/images/carry.dtb"), blob)
    for number, name in (2, "source"), (3, "copy"):
        for lost in "first-sector", "sectors":
            subprocess.run(["fdtput", "-d", blob, f"/disks/{name}", lost], check=True)
        subprocess.run(["fdtput", blob, f"/disks/{name}", "partition", str(number)], check=True)
    assert carry(tmp_path / "file", "--no-run", "--disk", disk).returncode == 0
    write(disk, 446, TABLE)
    return blob, disk, data


def write(disk, at, data):
    with open(disk, "r+b") as file:
        file.seek(at)
        file.write(data)


@pytest.mark.parametrize("board", BOARDS, ids=board_name)
def test_a_file_crosses_from_partition_to_partition(boot, job, board):
    blob, disk, data = job
    lines = boot(blob, disks=[disk], **board).end()
    assert LAST_LINE in lines and not [line for line in lines if "/disks/" in line]
    with open(disk, "rb") as file:
        file.seek(COPY * 512)
        assert struct.unpack_from("<8sQ", file.read(512)) == (b"WEIRFILE", len(data))
        assert file.read(len(data)) == data


@pytest.mark.parametrize("board", BOARDS, ids=board_name)
@pytest.mark.parametrize("at, bad, said, line", [
    (510, bytes(2), True, "failed: find the disk: I/O error"),
    (SOURCE * 512, bytes(8), False, "failed: the disk holds no file: not found"),
], ids=["no-table", "no-file"])
def test_the_guests_say_what_their_disk_lacks(boot, job, board, at, bad, said, line):
    blob, disk, _ = job
    write(disk, at, bad)
    lines = boot(blob, disks=[disk], **board).end()
    assert LAST_LINE in lines and f"[reader] {line}" in lines
    head = "weir: manifest: /disks/"
    assert len([text for text in lines if text.startswith(head) and NONE in text]) == 2 * said
