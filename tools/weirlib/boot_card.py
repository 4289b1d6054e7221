"""What a Raspberry Pi's firmware, and then Weir, will find on an SD card: the first thing that is wrong with it."""

import os
import shutil
import struct
import subprocess

from . import dts
from .errors import Mistake, printable

SECTOR = 512
FAT_KINDS = {0x01, 0x04, 0x06, 0x0B, 0x0C, 0x0E}
ENTRIES, ENTRY = 446, struct.Struct("<4xB3xII")  # of the MBR: kind, first sector, sectors
SIGNATURE = b"\x55\xaa"
# Not free: Debian has it in a component of its own, so it is the user's to add.
FIRMWARE = ["start4.elf", "fixup4.dat"]
SET = ["arm_64bit=1", "enable_gic=1"]
TREE_MAGIC = b"\xd0\x0d\xfe\xed"


def mtools(*words) -> bytes:
    """Without a configuration of the user's, which could name other drives."""
    if not shutil.which(words[0]):
        raise Mistake(f"card: {words[0]}: is not there: tools/setup run installs mtools")
    result = subprocess.run(words, env={**os.environ, "MTOOLSRC": os.devnull}, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if result.returncode:
        said = printable(" ".join(result.stderr.decode(errors="replace").split()))
        raise Mistake(f"card: {words[0]}: {said or 'failed'}")
    return result.stdout


class Card:
    def __init__(self, path: str):
        self.path = path
        with open(path, "rb") as file:
            self.sectors = file.seek(0, os.SEEK_END) // SECTOR  # also of a card in a reader

    def check(self, image: str) -> None:
        """Raises Mistake."""
        files = self._partition()
        self._check_disks(image, files)
        self._check_file_system(*files)
        drive = f"{self.path}@@{files[0] * SECTOR}"
        self._check_files(drive, self._names(drive))

    def _wrong(self, text: str) -> Mistake:
        return Mistake(f"card: {printable(self.path)}: {text}")

    def _read(self, sector: int, count: int = 1) -> bytes:
        with open(self.path, "rb") as file:
            file.seek(sector * SECTOR)
            return file.read(count * SECTOR)

    def _entries(self) -> list:
        """Kind, first sector and number of sectors of each partition."""
        table = self._read(0)
        if table[510:] != SIGNATURE:
            raise self._wrong("has no partition table: sector 0 does not end in 55 aa")
        return [ENTRY.unpack_from(table, ENTRIES + 16 * i) for i in range(4)]

    def _partition(self) -> tuple:
        """First sector and number of sectors of the partition where the firmware looks for its files."""
        entries = self._entries()
        for number, (kind, first, count) in enumerate(entries, 1):
            if kind and (not first or not count or first + count > self.sectors):
                raise self._wrong(f"partition {number}: sectors {first}+{count} are not all among the "
                                  f"{self.sectors} of the card, or none")
        fat = [entry[1:] for entry in entries if entry[0] in FAT_KINDS]
        if not fat:
            raise self._wrong("has no partition with a FAT file system, where the firmware looks")
        return fat[0]

    def _check_disks(self, image: str, files: tuple) -> None:
        disks = dts.load_blob(image).child("disks")
        for node in disks.children if disks else []:
            first, count = self._place(node)
            if first + count > self.sectors:
                raise self._wrong(f"/disks/{node.name}: sectors {first}+{count} are not all among the "
                                  f"{self.sectors} of the card")
            if first < files[0] + files[1] and files[0] < first + count:
                raise self._wrong(f"/disks/{node.name}: sectors {first}+{count} hold files of the firmware")

    def _place(self, node: dts.Node) -> tuple:
        """First sector and number of sectors of a disk of the manifest."""
        if "partition" in node.props:
            number = node.props["partition"].cells()[0]
            kind, first, count = self._entries()[number - 1]
            if not kind:
                raise self._wrong(f"/disks/{node.name}: partition {number} is empty")
            return first, count
        first = node.props["first-sector"].cells()[0] if "first-sector" in node.props else 0
        return first, node.props["sectors"].cells()[0] if "sectors" in node.props else self.sectors - first

    def _check_file_system(self, first: int, count: int) -> None:
        """What mtools does not look at: whether both copies of the table of clusters say the same."""
        boot = self._read(first)
        size, reserved, copies = struct.unpack_from("<HxHB", boot, 11)
        sectors = struct.unpack_from("<H", boot, 22)[0] or struct.unpack_from("<I", boot, 36)[0]
        if boot[510:] != SIGNATURE or size != SECTOR or not sectors or reserved + copies * sectors > count:
            raise self._wrong(f"the file system at sector {first} is damaged: its first sector is none")
        tables = {self._read(first + reserved + i * sectors, sectors) for i in range(copies)}
        if len(tables) != 1:
            raise self._wrong(f"the file system at sector {first} is damaged: its tables of clusters differ")

    def _names(self, drive: str) -> list:
        listed = mtools("mdir", "-i", drive, "-b", "::").decode(errors="replace")
        return [line.removeprefix("::/").lower() for line in listed.split("\n") if line]

    def _check_files(self, drive: str, names: list) -> None:
        def content(name: str) -> bytes:
            if name.lower() not in names:
                raise self._wrong(f"{name}: is not among its files")
            return mtools("mtype", "-i", drive, f"::{name}")

        config = [line.strip() for line in content("config.txt").decode(errors="replace").split("\n")]
        for line in SET:
            if line not in config:
                raise self._wrong(f"config.txt: does not say {line}")
        said = dict(line.replace(" ", "=", 1).split("=", 1) for line in config if "=" in line or " " in line)
        if content(said.get("kernel", "kernel8.img"))[56:60] != b"ARM\x64":  # the header of an arm64 Image
            raise self._wrong("kernel8.img: is not the hypervisor")
        for name in said.get("initramfs", "weir.dtb").split()[0], said.get("device_tree", "bcm2711-rpi-4-b.dtb"):
            tree = content(name)
            if tree[:4] != TREE_MAGIC or int.from_bytes(tree[4:8], "big") > len(tree):
                raise self._wrong(f"{name}: is no device tree, or not all of one")
        for name in FIRMWARE:
            content(name)
