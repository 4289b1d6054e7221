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
    (0, b"\x5d\0\0", "packed by lzma", _PACKED + "`xz -dc --format=lzma`"),
    (0, b"\x89LZO", "packed by lzop", _PACKED + "`lzop -dc`"),
    (4, b"zimg", "an EFI image that unpacks itself", "use the kernel's arch/arm64/boot/Image"),
    (0, b"\x7fELF", "an ELF file", "make a raw binary of it by `objcopy -O binary`"),
    (0, b"\x27\x05\x19\x56", "a U-Boot uImage", "use the raw Image that it was made of"),
    (0, TREE_MAGIC, "a device-tree blob", "include the kernel itself"),
    (0, b"0707", "a ramdisk (cpio)", "include the kernel itself; this is for ramdisk"),
    (0, b"ANDR", "an Android boot image", "use the kernel's arch/arm64/boot/Image"),
    (36, b"\x18\x28\x6f\x01", "a kernel for 32-bit Arm", "use a kernel for arm64"),
]
_PE, _PE_BYTES, _SECTION_BYTES = b"PE\0\0", 24, 40
_ARM64 = b"\x64\xaa"


def refused(data: bytes):
    """What the kernel is and the remedy, if Weir cannot start it as it is; else None."""
    for offset, magic, what, remedy in _REFUSED:
        if data[offset : offset + len(magic)] == magic:
            return what, remedy
    return _refused_image(data) or _refused_efi(data)


def _is_image(data: bytes) -> bool:
    return data[56:60] == IMAGE_MAGIC and len(data) >= 64


def _refused_image(data: bytes):
    """By the flags in its header: nobody turns its devices' words round."""
    if _is_image(data) and data[24] & 1:
        return "big-endian", "use a kernel that is little-endian"
    return None


def _refused_efi(data: bytes):
    """
    A kernel with an EFI stub is a PE file too, whose sections tell how long it is: all that there is to see by that
    its end is missing.
    """
    if data[:2] != b"MZ" or len(data) < 64:
        return None
    at = int.from_bytes(data[60:64], "little")
    head, end = data[at : at + _PE_BYTES], at + _PE_BYTES
    # Without an Image's header these may be anything, after an instruction that is "MZ", too.
    known = _is_image(data) if end > len(data) else head[:4] == _PE
    if not known:
        return None
    if end <= len(data):
        if head[4:6] != _ARM64:
            return "for another processor", "use a kernel for arm64"
        end = _efi_end(data, at)
    if end > len(data):
        what = f"not whole: it ends after {len(data) >> 10} KiB of {end >> 10}"
        return what, "include the whole file"
    return None


def _efi_end(data: bytes, at: int) -> int:
    """Of its sections, and of what tells of them."""
    end, section = at + _PE_BYTES, at + _PE_BYTES + int.from_bytes(data[at + 20 : at + 22], "little")
    for _ in range(int.from_bytes(data[at + 6 : at + 8], "little")):
        end = max(end, section + _SECTION_BYTES)
        if end > len(data):
            break
        end = max(end, sum(int.from_bytes(data[section + i : section + i + 4], "little") for i in (16, 20)))
        section += _SECTION_BYTES
    return end


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
