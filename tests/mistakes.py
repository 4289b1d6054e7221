"""
The mistakes that a manifest can have, each with the node and the property that are to blame and what
the hypervisor says. tests/qemu/test_refused.py boots them, past the checks of tools/weir;
tests/host/test_weir_check.py shows that the tool refuses the same ones.

A mistake stands in a node of its own beside others that are right, so many of them share one manifest.
"""

import re
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from weirlib import properties  # noqa: E402

# PSCI SYSTEM_OFF: movz w0, #8; movk w0, #0x8400, lsl #16; hvc #0; b .
KERNEL = bytes.fromhex("00018052" "0080b072" "020000d4" "00000014")
CORES = 2  # of the machine
PER_IMAGE = 60


class Mistake(NamedTuple):
    kind: str  # the group: vms, channels or disks
    prop: str  # to blame; "name" and nodes inside as the hypervisor names them
    source: str  # what stands in the node, in place of what is right
    line: str  # how the hypervisor's explanation begins, up to the remedy
    lacks: str = ""  # what is right and left out
    name: str = ""  # of the node, if that is the mistake
    tool: str = ""  # what the tool blames, if it is another property


def data(value: bytes) -> str:
    return f"[{value.hex()}]"


# What a node needs, unless the mistake is in it.
RIGHT = {
    "vms": {"kernel": data(KERNEL), "memory-mib": "<1>"},
    "channels": {"ends": '"good", "other"'},
    "disks": {},
}


SMALLEST_VM = " ".join(f"{prop} = {value};" for prop, value in RIGHT["vms"].items())


def image_header(text_offset: int, image_size: int) -> bytes:
    head = bytearray(64)
    head[8:16] = text_offset.to_bytes(8, "little")
    head[16:24] = image_size.to_bytes(8, "little")
    head[56:60] = b"ARM\x64"
    return bytes(head)


# What a number needs beside it.
PARTNERS = {"budget-us": " period-us = <10>;", "period-us": " budget-us = <5>;"}


def numbers():
    """Each number: of another type, too long, empty, below and above its range, not a multiple."""
    for kind, table in properties.GROUPS.items():
        for name, rule in table.items():
            if not isinstance(rule, properties.Number):
                continue
            lacks = "memory-mib" if name == "memory-kib" else ""
            wrong = {"[61 62 00]": "has 3 bytes; write one number",
                     "<1 2>": "has 8 bytes; write one number",
                     "[]": "has 0 bytes; write one number"}
            outside = [rule.low - 1] if rule.low else []
            outside += [rule.high + 1] if rule.high < 0xFFFFFFFF else []
            for value in outside:
                wrong[f"<{value}>"] = f"{value} is out of range ({rule.low} to {rule.high}); "
            if rule.multiple > 1:
                wrong[f"<{rule.high - 1}>"] = f"{rule.high - 1} is not a multiple of {rule.multiple}; "
            for value, line in wrong.items():
                source = f"{name} = {value};" + PARTNERS.get(name, "")
                yield Mistake(kind, name, source, line, lacks)


def lists():
    """Each list of names: no list, an empty one, not terminated, names twice and of nobody."""
    for name, nobody in (("peers", "there is no VM nobody; "), ("rights", "nobody is no right; "),
                         ("disks", "there is no disk nobody; "),
                         ("disks-read-only", "there is no disk nobody; "), ("devices", "")):
        known = {"peers": "good", "rights": "store"}.get(name, "right")
        for value in ("<1>", '""', "[61 62]"):
            yield Mistake("vms", name, f"{name} = {value};", "is no list of names; ")
        yield Mistake("vms", name, f"{name};", "is no list of names; ")
        if nobody:
            yield Mistake("vms", name, f'{name} = "nobody";', nobody)
        yield Mistake("vms", name, f'{name} = "{known}", "{known}";',
                      f"{known} is named twice; ")


def names():
    rule = "is not allowed; use up to 31 of a-z, 0-9 and '-', a letter first"
    for kind in RIGHT:
        for name in ("Capital", "under_score", "3rd", "dot.dot", "unit@0", "l" * 32):
            yield Mistake(kind, "name", "", rule, name=name)


KERNELS = [
    (b"\x7fELF", "an ELF file"), (b"\xd0\x0d\xfe\xed", "a device tree"),
    (b"\x27\x05\x19\x56", "a U-Boot uImage"), (b"MZ\0\0zimg", "an EFI image"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd"), (b"\xfd7zXZ\0", "packed by xz"),
    (b"\x04\x22\x4d\x18", "packed by lz4"), (b"\x02\x21\x4c\x18", "packed by lz4"),
    (b"\x5d\0\0\x80", "packed by lzma"), (b"\x89LZO\0", "packed by lzop"),
    (b"BZh9", "packed by bzip2"), (b"\x1f\x8b\x08", "packed by gzip"),
    (b"070701", "a ramdisk"), (b"ANDROID!", "an Android boot image"),
    (bytes(36) + b"\x18\x28\x6f\x01", "a kernel for 32-bit Arm"),
]


def efi_kernel(machine: int, *ends: int) -> bytes:
    """An Image with an EFI stub, of 1 KiB, whose sections end there."""
    head = bytearray(image_header(0, 4096) + bytes(960))
    head[0:2], head[60:64], head[64:68] = b"MZ", (64).to_bytes(4, "little"), b"PE\0\0"
    head[68:70], head[70:72] = machine.to_bytes(2, "little"), len(ends).to_bytes(2, "little")
    head[84:86] = (8).to_bytes(2, "little")  # of the optional header, behind which the sections are
    for number, end in enumerate(ends):
        at = 96 + 40 * number + 16
        head[at : at + 8] = (256).to_bytes(4, "little") + (end - 256).to_bytes(4, "little")
    return bytes(head)


ARM64, AMD64 = 0xAA64, 0x8664


def flagged(flags: int) -> bytes:
    """An Image that is right but for the flags in its header."""
    head = bytearray(image_header(0, 4096) + KERNEL)
    head[24:32] = flags.to_bytes(8, "little")
    return bytes(head)

MISTAKES = [
    *numbers(),
    *lists(),
    *names(),
    # Properties as such.
    Mistake("vms", "budgt-us", "budgt-us = <5>;", "no such property; "),
    Mistake("vms", "sectors", "sectors = <5>;", "no such property; "),
    Mistake("vms", "inner", "inner { };", "is a node; "),
    Mistake("vms", "pmu", "pmu = <1>;", "has a value; write the name only"),
    Mistake("vms", "dma-unsafe", "dma-unsafe;", "stands without memory-direct; "),
    Mistake("vms", "memory-direct", "memory-direct = <1>;", "has a value; write the name only"),
    Mistake("vms", "devices", 'devices = "a", "b", "c", "d", "e", "f", "g", "h", "i";',
            "the VM has more than 8 devices; "),
    # Memory, and what has to fit into it.
    Mistake("vms", "memory-mib", "", "is missing; ", "memory-mib"),
    Mistake("vms", "memory-kib", "memory-kib = <1024>;", "stands beside memory-mib; "),
    Mistake("vms", "memory-mib", f"kernel = {data(image_header(0, 1 << 20) + KERNEL)};",
            "1024 KiB do not hold kernel 1024 KiB at 0 KiB, ramdisk 0 KiB, tree 4 KiB, "
            "shared-kib 256; give 1284 KiB"),
    Mistake("vms", "memory-mib", f"kernel = {data(image_header(0x100000, 4096) + KERNEL)};",
            "1024 KiB do not hold kernel 4 KiB at 1024 KiB, "),
    Mistake("vms", "memory-mib", f"ramdisk = {data(bytes(253 << 10))};",
            "1024 KiB do not hold kernel 1 KiB at 512 KiB, ramdisk 253 KiB, tree 4 KiB, "
            "shared-kib 256; give 1032 KiB"),
    Mistake("vms", "memory-mib", "load-offset = <0x100000>;",
            "1024 KiB do not hold kernel 1 KiB at 1024 KiB, "),
    Mistake("vms", "memory-mib", "load-offset = <0xfffff000>;",
            "1024 KiB do not hold kernel 1 KiB at 4194300 KiB, "),
    Mistake("vms", "memory-kib", "memory-kib = <772>;",
            "772 KiB do not hold kernel 1 KiB at 512 KiB, ramdisk 0 KiB, tree 4 KiB, "
            "shared-kib 256; give 776 KiB", "memory-mib"),
    Mistake("vms", "shared-kib", "shared-kib = <1024>;",
            "1024 is not below the 1024 KiB of RAM; "),
    # Only the header of an Image can ask for so much; the tool adds it up.
    Mistake("vms", "kernel", f"kernel = {data(image_header(1 << 63, 4096))};",
            "its header asks for ", tool="memory-mib"),
    Mistake("vms", "kernel", f"kernel = {data(image_header(0, 2 ** 64 - 1))};",
            "its header asks for ", tool="memory-mib"),
    # Files.
    Mistake("vms", "kernel", "", "is missing; ", "kernel"),
    Mistake("vms", "kernel", "kernel;", "is empty; "),
    Mistake("vms", "kernel", 'kernel = "kernel.bin";', "is a text; "),
    *(Mistake("vms", "kernel", f"kernel = {data(head + bytes(100))};", f"is {what}")
      for head, what in KERNELS),
    Mistake("vms", "kernel", f"kernel = {data(efi_kernel(AMD64, 1024))};", "is for another processor; "),
    Mistake("vms", "kernel", f"kernel = {data(efi_kernel(ARM64, 1024, 5120))};",
            "is not whole: ends after 1 KiB of 5; "),
    Mistake("vms", "kernel", f"kernel = {data(efi_kernel(ARM64, 2 ** 32 - 1, 512))};",
            "is not whole: ends after 1 KiB of 4194303; "),
    Mistake("vms", "kernel", f"kernel = {data(efi_kernel(ARM64, *[1025] * 23))};",
            "is not whole: ends after 1 KiB of 1; "),
    # A part of the file, down to the header of the Image: the rest of its PE header, of its sections.
    *(Mistake("vms", "kernel", f"kernel = {data(efi_kernel(ARM64, 900, 1024)[:end])};",
              "is not whole: ends after 0 KiB of 0; ") for end in (64, 80, 100, 140, 896)),
    Mistake("vms", "kernel", f"kernel = {data(flagged(0x0b))};", "is big-endian; "),
    Mistake("vms", "ramdisk", "ramdisk;", "is empty; "),
    Mistake("vms", "tree", "tree;", "is empty; "),
    Mistake("vms", "tree", 'tree = "guest.dtb";', "is no device tree; "),
    Mistake("vms", "tree", f"tree = {data(bytes.fromhex('d00dfeed00000065') + bytes(92))};",
            "is no device tree; "),
    # Texts and words.
    Mistake("vms", "bootargs", "bootargs = <1>;", "has 4 bytes; "),
    Mistake("vms", "bootargs", "bootargs = [61 62];", "has 2 bytes; "),
    Mistake("vms", "bootargs", 'bootargs = "one", "two";', "has 8 bytes; "),
    Mistake("vms", "bootargs", f'bootargs = "{"t" * 2048}";', "has 2049 bytes; "),
    Mistake("vms", "bootargs", "bootargs;", "has 0 bytes; "),
    Mistake("vms", "on-fault", 'on-fault = "reboot";', "reboot is unknown; "),
    Mistake("vms", "on-fault", "on-fault = <1>;", "has 4 bytes; "),
    Mistake("vms", "on-fault", 'on-fault = "halt", "restart";', "has 13 bytes; "),
    Mistake("vms", "on-fault", "on-fault;", "has 0 bytes; "),
    # Cores and budgets.
    Mistake("vms", "cores", "cores;", "has 0 bytes; "),
    Mistake("vms", "cores", 'cores = "zero";', "has 5 bytes; "),
    Mistake("vms", "cores", "cores = <2>;", "there is no core 2; the machine has 2, "),
    Mistake("vms", "cores", "cores = <0 0xffffffff>;", "there is no core 4294967295; "),
    Mistake("vms", "budget-us", "budget-us = <5>;", "stands without period-us; "),
    Mistake("vms", "period-us", "period-us = <5>;", "stands without budget-us; "),
    Mistake("vms", "budget-us", "budget-us = <6>; period-us = <5>;",
            "6 is more than the period-us of 5; "),
    Mistake("vms", "budget-us", "budget-us = <6>; period-us = <10>; vcpus = <2>; cores = <1>;",
            "with it more than the time of one core is promised; "),
    # Names that refer to others.
    Mistake("vms", "peers", 'peers = "good", "myself";', "myself is the VM itself; ",
            name="myself"),
    Mistake("vms", "disks-read-only", 'disks = "right"; disks-read-only = "right";',
            "right is in disks too; "),
    Mistake("vms", "disks", 'disks = "right", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8";',
            "the VM has more than 8 disks; "),
    Mistake("vms", "ports", "ports = <1>;", "1 is too few for its 2 channels; ", name="crowded"),
    # Channels.
    Mistake("channels", "ends", "", "is missing; ", "ends"),
    Mistake("channels", "ends", "ends = <1>;", "is no list of names; "),
    Mistake("channels", "ends", 'ends = "good";', "must be two different VMs; "),
    Mistake("channels", "ends", 'ends = "good", "good";', "good is named twice; "),
    Mistake("channels", "ends", 'ends = "good", "other", "third";',
            "must be two different VMs; "),
    Mistake("channels", "ends", 'ends = "good", "nobody";', "there is no VM nobody; "),
    Mistake("channels", "ports", "ports = <1>;", "no such property; "),
    # Disks.
    Mistake("disks", "vcpus", "vcpus = <1>;", "no such property; "),
    Mistake("disks", "sectors", "first-sector = <4096>; sectors = <0xfffff001>;",
            "ends at sector 4294967297 (at most 4294967296); "),
    Mistake("disks", "partition", "partition = <1>; first-sector = <1>;",
            "stands beside first-sector or sectors; ", tool="first-sector"),
    Mistake("disks", "partition", "partition = <1>; sectors = <1>;",
            "stands beside first-sector or sectors; ", tool="sectors"),
]

# What else is in every manifest of mistakes, and right.
OTHERS = {
    "vms": "\n".join(f"\t\t{name} {{ {SMALLEST_VM} }};"
                     for name in ("other", "third")),
    "channels": '\t\tone { ends = "good", "other"; };',
    "disks": "\t\tright { }; " + " ".join(f"d{n} {{ }};" for n in range(1, 9)),
}
# The channels of "crowded", which has a single port.
CROWD = '\n\t\ttwo { ends = "crowded", "other"; }; three { ends = "crowded", "good"; };'


def node(mistake: Mistake, name: str) -> str:
    written = [mistake.lacks, *re.findall(r"(?:^| )([a-z-]+)(?: =|;)", mistake.source)]
    right = [f"{prop} = {value};" for prop, value in RIGHT[mistake.kind].items()
             if prop not in written]
    return f"\t\t{name} {{ {' '.join([*right, mistake.source])} }};"


def manifests(good: str):
    """
    Pairs of a manifest's source and what is wrong in it: a dict from (node, property) to the Mistake.
    `good` is the source of the VM "good", which is right, as are OTHERS.
    """
    left = list(MISTAKES)
    while left:
        groups, wrong, taken = dict(OTHERS), {}, []
        groups["vms"] = f"\t\tgood {{ {good} }};\n" + groups["vms"]
        for mistake in left:
            mine = [one for one in wrong.values() if one.kind == mistake.kind]
            if len(mine) == PER_IMAGE:
                continue
            name = mistake.name or f"{mistake.prop[:24]}-{len(mine)}"
            groups[mistake.kind] += "\n" + node(mistake, name)
            wrong[f"/{mistake.kind}/{name}", mistake.prop] = mistake
            taken.append(mistake)
            groups["channels"] += CROWD if name == "crowded" else ""
        left = [mistake for mistake in left if mistake not in taken]
        yield source("", **groups), wrong


def source(root: str, **groups) -> str:
    text = "".join(f"\t{kind} {{\n{nodes}\n\t}};\n" for kind, nodes in groups.items())
    return f'/dts-v1/;\n/ {{\n\tcompatible = "weir,system";\n{root}{text}}};\n'
