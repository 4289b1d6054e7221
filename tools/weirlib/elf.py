"""Sections of a 64-bit little-endian ELF file, and marks that programs carry in one of them."""

import re
import struct
from typing import Iterator, NamedTuple

from .errors import Mistake, printable


class Section(NamedTuple):
    name: str
    address: int
    offset: int
    size: int


def read(path: str) -> bytes:
    """A Mistake if it is no such file."""
    with open(path, "rb") as file:
        elf = file.read()
    if elf[:6] != b"\x7fELF\x02\x01":
        raise Mistake(f"{printable(str(path))}: is no 64-bit little-endian program")
    return elf


def sections(elf: bytes) -> list:
    offset, = struct.unpack_from("<Q", elf, 0x28)
    size, count, names = struct.unpack_from("<HHH", elf, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", elf, offset + i * size) for i in range(count)]
    strings = headers[names][4]
    return [Section(elf[strings + header[0] : elf.index(b"\0", strings + header[0])].decode(),
                    *header[3:6]) for header in headers]


def text(elf: bytes) -> list:
    """.text and all .text.*"""
    return [section for section in sections(elf) if re.match(r"\.text(\.|$)", section.name)]


def instructions(elf: bytes) -> Iterator[tuple]:
    """(address, word) of everything in .text."""
    for section in text(elf):
        words = struct.unpack_from(f"<{section.size // 4}I", elf, section.offset)
        yield from zip(range(section.address, section.address + section.size, 4), words)


def marks(elf: bytes, name: str) -> Iterator[tuple]:
    """
    (address, text) of each mark in the section `name`: 8 bytes of address, then a 0-terminated text. What
    the linker left out has the address 0.
    """
    for section in sections(elf):
        at, end = section.offset, section.offset + section.size
        while section.name == name and at < end:
            address, = struct.unpack_from("<Q", elf, at)
            stop = elf.index(b"\0", at + 8)
            if address:
                yield address, elf[at + 8 : stop].decode()
            at = stop + 1
