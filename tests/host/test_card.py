"""tools/card: the image is a card that a Raspberry Pi's firmware can read, and the disks are still on it."""

import os
import pathlib
import shutil
import struct
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
MANIFEST = """/dts-v1/; / { compatible = "weir,system"; disks {
    copy { first-sector = <%d>; sectors = <%d>; };
    source { first-sector = <%d>; sectors = <%d>; };
}; };"""
USUAL = (4096, 2048, 2048, 2048)
FILES = {"kernel8.img": os.urandom(300000), "config.txt": b"arm_64bit=1\n", "weir.dtb": b"image" * 1000}


@pytest.fixture
def card(tmp_path):
    """card(parts, mib) runs the tool on a disk of that size; first and last sector of each part are marked."""

    def make(parts=USUAL, mib=128, boot=tmp_path / "boot"):
        source, image, disk = (tmp_path / name for name in ("image.dts", "image.dtb", "disk.img"))
        source.write_text(MANIFEST % parts)
        subprocess.run(["dtc", "-q", "-o", image, source], check=True)
        with open(disk, "wb") as file:
            file.truncate(mib << 20)
            for first, count in (parts[:2], parts[2:]):
                for sector in (first, first + count - 1):
                    file.seek(sector * 512)
                    file.write(b"part%d" % sector)
        (tmp_path / "boot").mkdir()
        for name, content in FILES.items():
            (tmp_path / "boot" / name).write_bytes(content)
        result = subprocess.run([ROOT / "tools/card", disk, boot, "--image", image], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return result, disk

    return make


def table(disk):
    """Kind, first sector and number of sectors of each partition."""
    data = disk.read_bytes()[:512]
    assert data[510:] == b"\x55\xaa"
    entries = [struct.unpack_from("<4xB3xII", data, 446 + 16 * i) for i in range(4)]
    return [entry for entry in entries if entry != (0, 0, 0)]


def from_card(disk, name, folder):
    subprocess.run(["mcopy", "-i", f"{disk}@@{table(disk)[0][1] * 512}", f"::{name}", folder / "out"], check=True,
                   env={**os.environ, "MTOOLSRC": "/dev/null"})
    return (folder / "out").read_bytes()


def test_the_table_names_the_files_first_and_then_each_disk(card):
    result, disk = card()
    assert result.returncode == 0, result.stderr
    assert table(disk) == [(0x0C, 6144, (128 << 11) - 6144), (0xDA, 2048, 2048), (0xDA, 4096, 2048)]
    assert disk.stat().st_size == 128 << 20


def test_partitions_are_what_sfdisk_reads(card):
    sfdisk = shutil.which("sfdisk", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if not sfdisk:
        pytest.skip("there is no sfdisk")
    disk = card()[1]
    text = subprocess.run([sfdisk, "-d", disk], check=True, text=True, stdout=subprocess.PIPE).stdout
    assert "label: dos" in text
    lines = [line.split(":", 1)[1].replace(" ", "") for line in text.splitlines() if "start=" in line]
    assert lines == ["start=6144,size=256000,type=c", "start=2048,size=2048,type=da",
                     "start=4096,size=2048,type=da"]


def test_the_file_system_is_fat32_and_ends_where_its_partition_does(card):
    disk = card()[1]
    _, first, count = table(disk)[0]
    boot = disk.read_bytes()[first * 512 : first * 512 + 512]
    assert boot[82:90] == b"FAT32   " and boot[510:] == b"\x55\xaa"
    assert struct.unpack_from("<H", boot, 11) == (512,)
    assert struct.unpack_from("<I", boot, 28) == (first,)  # the sectors hidden before it
    assert (struct.unpack_from("<H", boot, 19)[0] or struct.unpack_from("<I", boot, 32)[0]) == count
    fat_sectors, clusters_of = struct.unpack_from("<I", boot, 36)[0], boot[13]
    used = struct.unpack_from("<H", boot, 14)[0] + boot[16] * fat_sectors
    assert (count - used) // clusters_of >= 65525  # else firmware takes it for FAT16


def test_each_file_is_on_the_card_as_it_was(card, tmp_path):
    disk = card()[1]
    for name, content in FILES.items():
        assert from_card(disk, name, tmp_path) == content


def test_the_disks_are_not_touched(card):
    data = card()[1].read_bytes()
    for sector in (2048, 4095, 4096, 6143):
        mark = b"part%d" % sector
        assert data[sector * 512 : sector * 512 + len(mark)] == mark


def test_what_the_user_has_to_add_is_told_with_the_command(card):
    result, disk = card()
    assert "start4.elf and fixup4.dat" in result.stdout and "raspi-firmware" in result.stdout
    assert result.stdout.splitlines()[-1] == f"card:   mcopy -i {disk}@@{6144 * 512} start4.elf fixup4.dat ::"


@pytest.mark.parametrize("parts, mib, told", [
    ((0, 2048, 2048, 2048), 128, "the partition table needs the first MiB"),
    (USUAL, 64, "FAT32 needs"),
    ((4096, 2048, 2048, 262144), 128, "0 sectors are left for the files"),
], ids=["first-mib", "small", "full"])
def test_a_card_without_room_is_refused(card, parts, mib, told):
    result, _ = card(parts, mib)
    assert result.returncode == 1 and told in result.stderr


def test_a_boot_folder_that_is_not_there_is_told(card, tmp_path):
    result, _ = card(boot=tmp_path / "none")
    assert result.returncode == 1 and "there is no such file" in result.stderr


# ---- --check: the first thing that is wrong with a card, in one line ---------------------------------------------

TREE = b"\xd0\x0d\xfe\xed" + (4000).to_bytes(4, "big") + bytes(3992)
GOOD = {"config.txt": b"arm_64bit=1\nkernel=kernel8.img\ninitramfs weir.dtb followkernel\nenable_gic=1\n",
        "kernel8.img": bytes(56) + b"ARM\x64" + os.urandom(100000), "weir.dtb": TREE,
        "bcm2711-rpi-4-b.dtb": TREE, "start4.elf": b"start", "fixup4.dat": b"fixup"}
AT = 6144 * 512  # where the files are on a usual card


@pytest.fixture
def look(card, tmp_path):
    """look(files, change, parts) makes a card with these files, changes its bytes, and has the tool look at it."""

    def check(files=GOOD, change=None, parts=None):
        (tmp_path / "good").mkdir()
        for name, content in files.items():
            (tmp_path / "good" / name).write_bytes(content)
        made, disk = card(boot=tmp_path / "good")
        assert made.returncode == 0, made.stderr
        if change:
            data = bytearray(disk.read_bytes())
            change(data)
            disk.write_bytes(data)
        if parts:
            source = tmp_path / "other.dts"
            source.write_text(parts if isinstance(parts, str) else MANIFEST % parts)
            subprocess.run(["dtc", "-q", "-o", tmp_path / "image.dtb", source], check=True)
        return subprocess.run([ROOT / "tools/card", disk, "--check", "--image", tmp_path / "image.dtb"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    return check


def check_told(result, told):
    assert result.returncode == 1 and not result.stdout
    assert told in result.stderr and result.stderr.count("\n") == 1, result.stderr


@pytest.mark.parametrize("number, told", [
    (3, ""), (1, "/disks/part: sectors 6144+256000 hold files of the firmware"),
    (4, "/disks/part: partition 4 is empty")])
def test_a_disk_that_is_a_partition_is_where_the_table_says(look, number, told):
    manifest = "/dts-v1/; / { compatible = \"weir,system\"; disks { part { partition = <%d>; }; }; };"
    result = look(parts=manifest % number)
    if told:
        check_told(result, told)
    else:
        assert result.returncode == 0, result.stderr


def test_a_card_that_boots_is_said_to(look):
    result = look()
    assert result.returncode == 0 and "finds all that it needs" in result.stdout, result.stderr


def put(at, content):
    def change(data):
        data[at:at + len(content)] = content
    return change


def cut(data):
    del data[64 << 20:]


def kind(data):
    data[446 + 4] = 0x83


@pytest.mark.parametrize("change, told", [
    (lambda data: data.clear(), "has no partition table"),
    (put(0, bytes(512)), "has no partition table"),
    (put(446, bytes(64)), "has no partition with a FAT file system"),
    (kind, "has no partition with a FAT file system"),
    (put(446 + 16 + 8, b"\xff" * 4), "partition 2: sectors 4294967295+2048 are not all"),
    (cut, "partition 1: sectors 6144+256000 are not all"),
    (put(AT, bytes(512)), "is damaged: its first sector is none"),
    (put(AT + 11, b"\0\x10"), "is damaged: its first sector is none"),
    (put(AT + 36, b"\xff" * 4), "is damaged: its first sector is none"),
    (put(AT + 32 * 512 + 40, b"\x12\x34"), "is damaged: its tables of clusters differ"),
], ids=["empty", "no-table", "no-partitions", "no-fat", "beyond", "cut", "zeroes", "sector-size", "table-size", "tables"])
def test_a_damaged_card_is_told(look, change, told):
    check_told(look(change=change), told)


@pytest.mark.parametrize("name, content, told", [
    ("config.txt", None, "config.txt: is not among its files"),
    ("config.txt", b"arm_64bit=1\n", "config.txt: does not say enable_gic=1"),
    ("config.txt", b"#arm_64bit=1\nenable_gic=1\n", "config.txt: does not say arm_64bit=1"),
    ("kernel8.img", b"another kernel", "kernel8.img: is not the hypervisor"),
    ("weir.dtb", TREE[:3000], "weir.dtb: is no device tree, or not all of one"),
    ("weir.dtb", bytes(4000), "weir.dtb: is no device tree, or not all of one"),
    ("bcm2711-rpi-4-b.dtb", None, "bcm2711-rpi-4-b.dtb: is not among its files"),
    ("start4.elf", None, "start4.elf: is not among its files"),
], ids=["no-config", "gic", "64-bit", "kernel", "cut", "zeroes", "no-tree", "no-firmware"])
def test_a_file_that_is_wrong_is_told(look, name, content, told):
    files = {**GOOD, name: content} if content else {key: value for key, value in GOOD.items() if key != name}
    check_told(look(files), told)


@pytest.mark.parametrize("parts, told", [
    ((2048, 2048, 6000, 2048), "/disks/source: sectors 6000+2048 hold files of the firmware"),
    ((2048, 2048, 4096, 300000), "/disks/source: sectors 4096+300000 are not all"),
], ids=["files", "beyond"])
def test_a_disk_that_does_not_fit_the_card_is_told(look, parts, told):
    check_told(look(parts=parts), told)


def test_a_file_system_whose_clusters_lead_nowhere_is_told(look, tmp_path):
    """Both copies of the table say the same, and what they say is wrong."""
    def change(data):
        reserved, sectors = struct.unpack_from("<H", data, AT + 14)[0], struct.unpack_from("<I", data, AT + 36)[0]
        for copy in range(2):
            at = AT + (reserved + copy * sectors) * 512 + 8
            data[at:at + sectors * 256] = b"\xf7\xff\xff\x0f" * (sectors * 64)  # bad clusters

    result = look(change=change)
    assert result.returncode == 1 and result.stderr.count("\n") == 1, result.stderr
