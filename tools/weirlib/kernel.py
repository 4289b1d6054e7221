"""What can be told from the first bytes of a guest's kernel."""

IMAGE_MAGIC = b"ARM\x64"  # at byte 56: the arm64 boot protocol of Linux
DEFAULT_OFFSET = 0x80000
TREE_MAGIC = b"\xd0\x0d\xfe\xed"

_PACKED = "unpack it first, by "
_REFUSED = [
    (0, b"\x1f\x8b", "packed by gzip", _PACKED + "`gzip -dc`"),
    (0, b"\xfd7zXZ\0", "packed by xz", _PACKED + "`xz -dc`"),
    (0, b"\x28\xb5\x2f\xfd", "packed by zstd", _PACKED + "`zstd -dc`"),
    (0, b"BZh", "packed by bzip2", _PACKED + "`bzip2 -dc`"),
    (0, b"\x04\x22\x4d\x18", "packed by lz4", _PACKED + "`lz4 -dc`"),
    (0, b"\x02\x21\x4c\x18", "packed by lz4", _PACKED + "`lz4 -dc`"),
    (4, b"zimg", "an EFI image that unpacks itself", "use the kernel's arch/arm64/boot/Image"),
    (0, b"\x7fELF", "an ELF file", "make a raw binary of it by `objcopy -O binary`"),
    (0, b"\x27\x05\x19\x56", "a U-Boot uImage", "use the raw Image that it was made of"),
    (0, TREE_MAGIC, "a device-tree blob", "include the kernel itself"),
]


def refused(data: bytes):
    """What the kernel is and the remedy, if Weir cannot start it as it is; else None."""
    for offset, magic, what, remedy in _REFUSED:
        if data[offset : offset + len(magic)] == magic:
            return what, remedy
    return None


def placement(data: bytes, load_offset=None) -> tuple:
    """The bytes from the start of RAM at which the kernel lies, and how many it needs there."""
    start, size = DEFAULT_OFFSET, len(data)
    if data[56:60] == IMAGE_MAGIC:
        image_size = int.from_bytes(data[16:24], "little")
        # Kernels from before the field existed have 0 there, and belong at the default.
        if image_size:
            start = int.from_bytes(data[8:16], "little")
            size = max(size, image_size)
    return (start if load_offset is None else load_offset), size
