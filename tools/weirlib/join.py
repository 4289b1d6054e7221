"""
The hypervisor and a system image as one firmware file.

A joined file is an arm64 Image like the hypervisor's own: weir.bin, zeroes where its .bss will be, the
system image. The header's image_size covers all of it, so that no boot loader puts anything there, and
tells the hypervisor that something lies behind it. A flash file has the stub tools/flash.S in front.

U-Boot takes every device tree that is passed as a ramdisk for an image format of its own, and looks for a
ramdisk in it. So a system image for booti's second argument is wrapped in U-Boot's older format, a header
of 64 bytes that it takes off.
"""

import zlib

from .errors import Mistake, printable
from .kernel import IMAGE_MAGIC, TREE_MAGIC

SIZE_AT = 16  # in the Image header
MAGIC_AT = 56
OWN_SIZE_AT = 64  # Weir's own image_size, which joining leaves as it is (arch/arm64/boot.S)

STUB_BYTES = 4096
STUB_TREE_AT = 8
STUB_MARK_AT, STUB_MARK = 16, b"weir virt flash\0"
FLASH_BYTES = 64 << 20  # of QEMU's virt, for -bios


# U-Boot, include/image.h: Linux, arm64, ramdisk, not packed.
WRAP_MAGIC = b"\x27\x05\x19\x56"
WRAP_KIND = bytes([5, 22, 3, 0])


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")


def is_firmware(data: bytes) -> bool:
    return data[MAGIC_AT : MAGIC_AT + 4] == IMAGE_MAGIC


def is_flash(data: bytes) -> bool:
    return data[STUB_MARK_AT : STUB_MARK_AT + len(STUB_MARK)] == STUB_MARK


def system_image(data: bytes) -> bytes:
    """What is joined to the hypervisor; nothing if it is by itself."""
    firmware = data[STUB_BYTES:] if is_flash(data) else data
    return firmware[_number(firmware, OWN_SIZE_AT) : _number(firmware, SIZE_AT)]


def join(weir: bytes, image: bytes, weir_name: str, image_name: str) -> bytes:
    """One file for -kernel, booti or a board's firmware. The names are for messages."""
    if not is_firmware(weir):
        raise Mistake(f"{printable(weir_name)}: not the hypervisor: `make` builds build/weir.bin")
    own = _number(weir, OWN_SIZE_AT)
    if _number(weir, SIZE_AT) != own or len(weir) > own:
        raise Mistake(f"{printable(weir_name)}: has a system image already: name build/weir.bin")
    _require_image(image, image_name)
    joined = bytearray(weir.ljust(own, b"\0") + image)
    joined[SIZE_AT : SIZE_AT + 8] = len(joined).to_bytes(8, "little")
    return bytes(joined)


def _require_image(image: bytes, name: str) -> None:
    if image[:4] != TREE_MAGIC:
        raise Mistake(f"{printable(name)}: not a system image: make one with `weir image`")


def wrap(image: bytes, name: str) -> bytes:
    """The system image as a ramdisk for U-Boot."""
    _require_image(image, name)

    def header(checksum: int) -> bytes:
        numbers = [checksum, 0, len(image), 0, 0, zlib.crc32(image)]
        words = b"".join(number.to_bytes(4, "big") for number in numbers)
        return WRAP_MAGIC + words + WRAP_KIND + b"weir system image".ljust(32, b"\0")

    return header(zlib.crc32(header(0))) + image


def flash(stub: bytes, firmware: bytes, tree: bytes = b"") -> bytes:
    """For QEMU's -bios. `tree` is passed instead of the one that QEMU leaves in RAM."""
    data = bytearray(stub.ljust(STUB_BYTES, b"\0") + firmware)
    if tree:
        data += bytes(-len(data) % 4096)
        data[STUB_TREE_AT : STUB_TREE_AT + 8] = len(data).to_bytes(8, "little")
        data += tree
    if len(data) > FLASH_BYTES:
        raise Mistake(f"the file would have {len(data)} bytes, and flash holds {FLASH_BYTES}: "
                      "join without --bios, and boot by -kernel")
    return bytes(data)
