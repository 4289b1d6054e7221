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
