"""tools/weir check: each mistake in a manifest has its line, and a right manifest has none."""

import os
import re

import pytest

from weir_manifest import GOOD, NOT_YET, RAW, ROOT, check, edit, folder, image_header, vms, weir  # noqa: F401
import mistakes
from weirlib import kernel, manifest, properties


def test_a_right_manifest_passes_silently(folder):
    assert check(folder, GOOD, "--board-cores", "4", "--board-memory-mib", "16") == []
    (folder / "m.dts").write_text(vms(1).replace("<1>;", '<1>; rights = "console";'))
    assert weir(folder, "check", "m.dts", "-I", "files").stderr == ""


def test_what_has_no_effect_yet_is_told_and_no_mistake(folder):
    (folder / "m.dts").write_text(edit('"manage"', '"introspect"'))
    for words in (["check"], ["image", "-o", "m.dtb"]):
        done = weir(folder, *words, "m.dts", "-I", "files")
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr.splitlines() == [
            'm.dts:11: /vms/reader: rights: "introspect"' + NOT_YET,
            "m.dts:32: /vms/writer: watchdog-ms" + NOT_YET]


SHARED = edit('disks-read-only = "source"', 'disks = "source"').replace("partition = <2>;", "first-sector = <%d>;")


def overlaps(folder, text):
    (folder / "m.dts").write_text(text)
    done = weir(folder, "check", "m.dts", "-I", "files")
    assert (done.returncode, done.stdout) == (0, "")
    return [line for line in done.stderr.splitlines() if not line.endswith(NOT_YET)]


def test_sectors_of_two_disks_that_two_vms_write_are_told(folder):
    assert overlaps(folder, SHARED % 2147) == [
        'm.dts:44: /disks/source: sectors: overlaps /disks/copy, which "writer" may write: '
        "as a virtio device it is read-only",
        'm.dts:47: /disks/copy: first-sector: overlaps /disks/source, which "reader" may write: '
        "as a virtio device it is read-only"]


def test_sectors_of_two_disks_that_one_vm_writes_or_that_are_apart_are_not_told(folder):
    apart = [SHARED % 2148, GOOD.replace("partition = <2>;", "first-sector = <2147>;"),
             (SHARED % 2147).replace("device = <0>", "device = <1>"),
             GOOD.replace("partition = <2>;", "first-sector = <2147>;").replace('"copy"', '"copy", "source"')]
    assert [overlaps(folder, text) for text in apart] == [[], [], [], []]


# What is replaced, by what, and the one line that must come of it.
MISTAKES = [
    # Properties as such.
    ("\t\t\tpmu;", "\t\t\tpmus;",
     'm.dts:17: /vms/reader: pmus: no such property here: did you mean "pmu"?'),
    ("\t\t\tpmu;", "\t\t\tsectors = <1>;",
     "m.dts:17: /vms/reader: sectors: no such property here: it belongs in /disks/NAME"),
    # What a typo stands for is not missing as well.
    ("memory-mib = <4>", "memory-mb = <4>",
     'm.dts:8: /vms/reader: memory-mb: no such property here: did you mean "memory-mib"?'),
    ('kernel = /incbin/("raw.bin")', 'kernal = /incbin/("raw.bin")',
     'm.dts:7: /vms/reader: kernal: no such property here: did you mean "kernel"?'),
    ('compatible = "weir', 'compatable = "weir',
     'm.dts:3: /: compatable: no such property here: did you mean "compatible"?'),
    ("ends = ", "end = ",
     'm.dts:37: /channels/file: end: no such property here: did you mean "ends"?'),
    ("budget-us = <400>", "budgt-us = <400>",
     'm.dts:14: /vms/reader: budgt-us: no such property here: did you mean "budget-us"?'),
    ("\t\t\tpmu;", "\t\t\tzzz;", "m.dts:17: /vms/reader: zzz: no such property here: remove it"),
    ("\t\t\tpmu;", "\t\t\tpmu = <1>;",
     "m.dts:17: /vms/reader: pmu: <1> given to a flag: write pmu; for yes, nothing for no"),
    ("\t\t\tpmu;", "\t\t\tinner { };",
     "m.dts:17: /vms/reader/inner: no such node: /vms/reader has properties only"),
    ("\tvms {", "\tvms {\n\t\tx = <1>;",
     "m.dts:6: /vms: x: no such property here: remove it"),
    ("\tchannels {", "\tchannel { };\n\tchannels {",
     'm.dts:35: /channel: no such node: did you mean "channels"?'),
    ("\tchannels {", "\tgpu { };\n\tchannels {",
     "m.dts:35: /gpu: no such node: the manifest has /vms, /channels and /disks"),
    ("\t\tfile {", "\t\tFile {",
     'm.dts:36: /channels/File: the name "File" is not allowed: '
     "use up to 31 of a-z, 0-9 and '-', with a letter first"),
    ("\t\tfile {", "\t\tfile@0 {",
     'm.dts:36: /channels/file@0: the name "file@0" is not allowed: '
     "use up to 31 of a-z, 0-9 and '-', with a letter first"),
    # The root.
    ('\tcompatible = "weir,system";', "",
     'm.dts:2: /: compatible: is missing: write compatible = "weir,system";'),
    ('"weir,system"', '"weir,sys"',
     'm.dts:3: /: compatible: "weir,sys" is not allowed: write "weir,system"'),
    ('"weir,system"', "<1>",
     'm.dts:3: /: compatible: <1> is not one word: write compatible = "weir,system";'),
    ("<3>", "<3 32>",
     "m.dts:4: /: communication-cores: 32 is out of range (0 to 31): "
     "number the cores as the board's device tree does, from 0"),
    ("<3>", "<3 3>",
     "m.dts:4: /: communication-cores: core 3 is named twice: name it once"),
    # Numbers.
    ("memory-mib = <4>", "memory-mib = <0>",
     "m.dts:8: /vms/reader: memory-mib: 0 is out of range (1 to 262144): "
     "give the VM at least 1 MiB"),
    ("memory-mib = <4>", "memory-mib = <262145>",
     "m.dts:8: /vms/reader: memory-mib: 262145 is out of range (1 to 262144): "
     "give the VM at least 1 MiB"),
    ("memory-mib = <4>", 'memory-mib = "4"',
     'm.dts:8: /vms/reader: memory-mib: "4" is not one number: '
     "write one number, memory-mib = <1>;"),
    ("memory-mib = <4>", 'memory-mib = "abc"',
     'm.dts:8: /vms/reader: memory-mib: "abc" is not one number: '
     "write one number, memory-mib = <1>;"),
    ("memory-mib = <4>", "memory-mib = <4 5>",
     "m.dts:8: /vms/reader: memory-mib: <4 5> is not one number: "
     "write one number, memory-mib = <1>;"),
    ("memory-mib = <4>", "memory-mib",
     "m.dts:8: /vms/reader: memory-mib: nothing is not one number: "
     "write one number, memory-mib = <1>;"),
    ("memory-mib = <4>", "memory-mib = [00 04]",
     "m.dts:8: /vms/reader: memory-mib: a value of 2 bytes is not one number: "
     "write one number, memory-mib = <1>;"),
    ("memory-mib = <4>", "memory-mib = /bits/ 64 <4>",
     "m.dts:8: /vms/reader: memory-mib: a value of 8 bytes is not one number: "
     "write one number, memory-mib = <1>;"),
    ("memory-mib = <4>;", "",
     "m.dts:6: /vms/reader: memory-mib: is missing: write memory-mib = <64>; or memory-kib"),
    ("memory-mib = <4>;", "memory-mib = <4>; memory-kib = <4096>;",
     "m.dts:8: /vms/reader: memory-kib: stands beside memory-mib: keep one of the two"),
    ("memory-kib = <8192>", "memory-kib = <8190>",
     "m.dts:23: /vms/writer: memory-kib: 8190 is not a multiple of 4 (64 to 268435456): "
     "take 8188 or 8192"),
    ("memory-kib = <8192>", "memory-kib = <32>",
     "m.dts:23: /vms/writer: memory-kib: 32 is out of range (64 to 268435456): "
     "give the VM whole pages, at least 64 KiB"),
    ("<0x80000>", "<0x80001>",
     "m.dts:24: /vms/writer: load-offset: 524289 is not a multiple of 4096 (0 to 4294963200): "
     "take 524288 or 528384"),
    ("vcpus = <2>", "vcpus = <17>",
     "m.dts:25: /vms/writer: vcpus: 17 is out of range (1 to 16): "
     "give the VM as many vCPUs as it has work for at the same time"),
    ("priority = <7>", "priority = <8>",
     "m.dts:27: /vms/writer: priority: 8 is out of range (0 to 7): "
     "7 is served first, 3 is the default"),
    ("shared-kib = <512>", "shared-kib = <510>",
     "m.dts:28: /vms/writer: shared-kib: 510 is not a multiple of 4 (0 to 268435456): "
     "take 508 or 512"),
    ("shared-kib = <512>", "shared-kib = <8192>",
     "m.dts:28: /vms/writer: shared-kib: 8192 is out of range (0 to 8188, below memory-kib): "
     "lower it, or raise memory-kib"),
    ("window-kib = <1024>", "window-kib = <737284>",
     "m.dts:29: /vms/writer: window-kib: 737284 is out of range (4 to 737280): "
     "give whole pages, 720 MiB at most"),
    ("window-kib = <1024>", "window-kib = <6>",
     "m.dts:29: /vms/writer: window-kib: 6 is not a multiple of 4 (4 to 737280): take 4 or 8"),
    ("ports = <64>", "store-nodes = <10001>",
     "m.dts:30: /vms/writer: store-nodes: 10001 is out of range (0 to 10000): "
     "15 is the default for a VM that may talk to others"),
    ("ports = <64>", "store-watches = <257>",
     "m.dts:30: /vms/writer: store-watches: 257 is out of range (0 to 256): "
     "16 is the default for a VM that may talk to others"),
    ("ports = <64>", "store-nodes = <9986>",
     "m.dts:30: /vms/writer: store-nodes: 9986 nodes are more than the 9985 that are left of 10000: "
     "lower it, or those of other VMs"),
    ("ports = <64>", "ports = <8193>",
     "m.dts:30: /vms/writer: ports: 8193 is out of range (1 to 8192): 128 is the default"),
    ("watchdog-ms = <1000>", "watchdog-ms = <0>",
     "m.dts:32: /vms/writer: watchdog-ms: 0 is out of range (1 to 3600000): "
     "give milliseconds, or leave the property out"),
    ("watchdog-ms = <15000>", "watchdog-ms = <15001>",
     "m.dts:4: /: watchdog-ms: 15001 is out of range (100 to 15000): "
     "give milliseconds, or leave the property out"),
    ("upcall-ms = <250>", "upcall-ms = <3600001>",
     "m.dts:16: /vms/reader: upcall-ms: 3600001 is out of range (1 to 3600000): "
     "give milliseconds, or leave the property out"),
    # Cores and budgets.
    ("cores = <0>", "cores = <32>",
     "m.dts:9: /vms/reader: cores: 32 is out of range (0 to 31): "
     "number the cores as the board's device tree does, from 0"),
    ("cores = <0>", 'cores = "zero"',
     'm.dts:9: /vms/reader: cores: "zero" is not a list of numbers: '
     "write cores = <0>; or <0 1>;"),
    ("cores = <0>", "cores = <3>",
     "m.dts:9: /vms/reader: cores: 3 is one of communication-cores: name cores that run VMs"),
    ("\t\t\tbudget-us = <400>;\n", "\n",
     "m.dts:15: /vms/reader: period-us: stands without budget-us: "
     "write budget-us = <...>; as well"),
    ("\t\t\tperiod-us = <1000>;\n", "\n",
     "m.dts:14: /vms/reader: budget-us: stands without period-us: "
     "write period-us = <...>; as well"),
    ("<400>", "<1001>",
     "m.dts:14: /vms/reader: budget-us: 1001 is out of range (1 to 1000, the period-us): "
     "lower it, or lengthen period-us"),
    ("priority = <7>;", "priority = <7>; budget-us = <7>; period-us = <0>;",
     "m.dts:27: /vms/writer: period-us: 0 is out of range (1 to 10000000): "
     "give the microseconds after which budget-us is refilled"),
    ("cores = <1 2>;", "cores = <1 0>; budget-us = <7>; period-us = <10>;",
     "m.dts:26: /vms/writer: budget-us: with it 110% of core 0 is promised: "
     "lower it, or name other cores"),
    # Names.
    ('peers = "writer"', 'peers = "writter"',
     'm.dts:10: /vms/reader: peers: there is no /vms/writter: did you mean "writer"?'),
    ('peers = "writer"', 'peers = "linux"',
     'm.dts:10: /vms/reader: peers: there is no /vms/linux: /vms has "reader", "writer"'),
    ('peers = "writer"', "peers = <&{/vms/writer}>",
     "m.dts:10: /vms/reader: peers: <1> is not a list of names: "
     'write names in quotes, peers = "reader";'),
    ('peers = "writer"', "peers = &{/vms/writer}",
     "m.dts:10: /vms/reader: peers: there is no /vms/writer: write the name only, \"writer\""),
    ('peers = "writer"', 'peers = "writer", "writer"',
     'm.dts:10: /vms/reader: peers: "writer" is named twice: name it once'),
    ('peers = "writer"', 'peers = "reader"',
     'm.dts:10: /vms/reader: peers: "reader" is the VM itself: name other VMs only'),
    ('"manage"', '"mange"',
     'm.dts:11: /vms/reader: rights: "mange" is not a right: did you mean "manage"?'),
    ('"manage"', '"root"',
     'm.dts:11: /vms/reader: rights: "root" is not a right: '
     'it is one of "console", "manage", "introspect", "store"'),
    ('"console", "manage"', "<1>",
     "m.dts:11: /vms/reader: rights: <1> is not a list of names: "
     'write names in quotes, rights = "console";'),
    ('disks-read-only = "source"', 'disks-read-only = "sauce"',
     'm.dts:12: /vms/reader: disks-read-only: there is no /disks/sauce: did you mean "source"?'),
    ('disks = "copy"', 'disks = "nothing"',
     'm.dts:31: /vms/writer: disks: there is no /disks/nothing: /disks has "source", "copy"'),
    ('disks = "copy";', 'disks = "copy"; disks-read-only = "copy";',
     'm.dts:31: /vms/writer: disks-read-only: "copy" is in disks as well: '
     "name it in one of the two"),
    ('"restart"', '"reboot"',
     'm.dts:13: /vms/reader: on-fault: "reboot" is not allowed: '
     'write "halt", "restart", "stop-machine"'),
    ('"restart"', "<1>",
     'm.dts:13: /vms/reader: on-fault: <1> is not one word: write on-fault = "halt";'),
    ('bootargs = "console=ttyAMA0 quiet"', "bootargs = <1>",
     'm.dts:22: /vms/writer: bootargs: <1> is not one text: write bootargs = "...";'),
    ("ttyAMA0", "t" * 2048,
     "m.dts:22: /vms/writer: bootargs: has 2062 bytes (at most 2047): shorten it"),
    ('peers = "writer"', 'peers = "wri\nter"',
     'm.dts:10: /vms/reader: peers: there is no /vms/wri\\nter: did you mean "writer"?'),
    # Channels.
    ('ends = "reader", "writer"', 'ends = "reader", "reader"',
     'm.dts:37: /channels/file: ends: "reader" is named twice: name it once'),
    ('ends = "reader", "writer"', 'ends = "reader"',
     'm.dts:37: /channels/file: ends: names "reader" (must be two different VMs): '
     'write ends = "one-vm", "other-vm";'),
    ('ends = "reader", "writer"', 'ends = "reader", "righter"',
     'm.dts:37: /channels/file: ends: there is no /vms/righter: did you mean "writer"?'),
    ('ends = "reader", "writer";', "",
     'm.dts:36: /channels/file: ends: is missing: write ends = "one-vm", "other-vm";'),
    # Disks.
    ("device = <0>", "device = <8>",
     "m.dts:42: /disks/source: device: 8 is out of range (0 to 7): "
     "count the board's disks from 0"),
    ("sectors = <100>", "sectors = <0>",
     "m.dts:44: /disks/source: sectors: 0 is out of range (1 to 4294967295): "
     "give the length in sectors of 512 bytes"),
    ("sectors = <100>", "sectors = <0xfffff801>",
     "m.dts:44: /disks/source: sectors: ends at sector 4294967297 (at most 4294967296): "
     "lower first-sector or sectors"),
    ("partition = <2>", "partition = <0>",
     "m.dts:47: /disks/copy: partition: 0 is out of range (1 to 4): "
     "name one of the four primary partitions of an MBR"),
    ("partition = <2>;", "partition = <2>; sectors = <1>;",
     "m.dts:47: /disks/copy: sectors: stands beside partition: "
     "keep partition, or first-sector and sectors"),
    ("device = <0>;", 'device = "x";',
     'm.dts:42: /disks/source: device: "x" is not one number: write one number, device = <1>;'),
    # Files.
    ('kernel = /incbin/("raw.bin");', "",
     'm.dts:6: /vms/reader: kernel: is missing: write kernel = /incbin/("FILE");'),
    ('/incbin/("raw.bin")', '"raw.bin"',
     'm.dts:7: /vms/reader: kernel: "raw.bin" is not a file\'s content: '
     'write kernel = /incbin/("raw.bin");'),
    ('/incbin/("raw.bin")', '/incbin/("empty")',
     "m.dts:7: /vms/reader: kernel: is empty: "
     'write kernel = /incbin/("FILE"); with a file that has content'),
    ('/incbin/("raw.bin")', '/incbin/("gzip")',
     "m.dts:7: /vms/reader: kernel: is packed by gzip: unpack it first, by `gzip -dc`"),
    ('/incbin/("raw.bin")', '/incbin/("elf")',
     "m.dts:7: /vms/reader: kernel: is an ELF file: "
     "make a raw binary of it by `objcopy -O binary`"),
    ('/incbin/("raw.bin")', '/incbin/("zimg")',
     "m.dts:7: /vms/reader: kernel: is an EFI image that unpacks itself: "
     "use the kernel's arch/arm64/boot/Image"),
    ('/incbin/("raw.bin");', '/incbin/("raw.bin"); tree = /incbin/("tree.dtb");',
     "m.dts:7: /vms/reader: tree: is not a device-tree blob: "
     "compile it by `dtc -O dtb` and include the result"),
    ('/incbin/("raw.bin");', '/incbin/("raw.bin"); tree = /incbin/("broken.dtb");',
     "m.dts:7: /vms/reader: tree: is not a device-tree blob: "
     "compile it by `dtc -O dtb` and include the result"),
    ('/incbin/("raw.bin")', '/incbin/("huge")',
     "m.dts:8: /vms/reader: memory-mib: 4 is too small for "
     "kernel 8192 KiB at offset 0 KiB, device tree 4 KiB, shared-kib 256: give at least 9"),
    ("memory-kib = <8192>", "memory-kib = <1096>",
     "m.dts:23: /vms/writer: memory-kib: 1096 is too small for kernel 64 KiB at offset 512 KiB, "
     "ramdisk 5 KiB, device tree 4 KiB, shared-kib 512: give at least 1100"),
    ("memory-kib = <8192>;", 'memory-kib = <1100>; tree = /incbin/("own.dtb");',
     "m.dts:23: /vms/writer: memory-kib: 1100 is too small for kernel 64 KiB at offset 512 KiB, "
     "ramdisk 5 KiB, device tree 8 KiB, shared-kib 512: give at least 1104"),
    # dtc's own, made readable.
    ("memory-mib = <4>;", "memory-mib = <4>",
     "m.dts:9: syntax error: is a ';', a quote or a bracket missing here or on the line before?"),
    ("/dts-v1/;", "", "m.dts:2: syntax error: the file must start with /dts-v1/;"),
    ('/incbin/("raw.bin")', '/incbin/("nope.bin")',
     'm.dts:7: "nope.bin": No such file or directory: make the file, or name its folder by -I'),
    ("memory-mib = <4>;", "memory-mib = <4>; memory-mib = <5>;",
     "m.dts:8: /vms/reader:memory-mib: Duplicate property name"),
    ("memory-mib = <4>;", "memory-mib = <0x100000000>;",
     "m.dts:8: Value out of range for 32-bit array element"),
]


@pytest.mark.parametrize("old, new, line", MISTAKES)
def test_a_mistake_is_told_with_line_property_range_and_remedy(folder, old, new, line):
    assert check(folder, edit(old, new)) == [line]


def blamed(line):
    """The node and the property, as the hypervisor names them."""
    path, prop, rest = re.fullmatch(r"[^:]*:\d+: (/[^:]*): (?:([a-z-]+): )?(.*)", line).groups()
    if rest.startswith("no such node"):
        return tuple(path.rsplit("/", 1))
    return path, prop or ("name" if rest.startswith("the name") else "")


def test_what_the_hypervisor_refuses_the_tool_refuses(folder):
    """tests/qemu/test_refused.py boots the same manifests."""
    for source, wrong in mistakes.manifests(mistakes.SMALLEST_VM):
        lines = check(folder, source, "--board-cores", str(mistakes.CORES))
        found = {blamed(line) for line in lines}
        expected = {(path, mistake.tool or prop) for (path, prop), mistake in wrong.items()}
        assert expected <= found, (expected - found, lines)
        assert {path for path, _ in found} == {path for path, _ in expected}


@pytest.mark.parametrize("memory", ["<1100>;", '<1104>; tree = /incbin/("own.dtb");'])
def test_memory_that_is_just_enough_is_enough(folder, memory):
    assert check(folder, edit("memory-kib = <8192>;", "memory-kib = " + memory)) == []


def test_long_bootargs_need_a_page_more(folder):
    text = edit("memory-kib = <8192>", "memory-kib = <1100>")
    line = "m.dts:23: /vms/writer: memory-kib: 1100 is too small for kernel 64 KiB at offset 512 KiB, "
    line += "ramdisk 5 KiB, device tree 8 KiB, shared-kib 512: give at least 1104"
    assert check(folder, text.replace("console=ttyAMA0 quiet", "t" * 1716)) == []
    assert check(folder, text.replace("console=ttyAMA0 quiet", "t" * 1717)) == [line]


@pytest.mark.parametrize("group, most", [("channels", 8192), ("disks", 512)])
def test_a_manifest_has_so_many_channels_and_disks(folder, group, most):
    body = 'ends = "v0", "v1";' if group == "channels" else ""
    text = vms(2).replace("<1>;", "<1>; ports = <8192>;")
    for count, lines in ((most, []),
                         (most + 1, [f"m.dts:5: /{group}: has {most + 1} {group} (at most {most}): "
                                     "remove some"])):
        nodes = "".join(f"n{n} {{ {body} }};\n" for n in range(count))
        found = check(folder, text.replace("}; };\n", f"}}; {group} {{\n{nodes}}}; }};\n"))
        assert [line for line in found if ": ports: " not in line] == lines


def test_a_vm_has_a_port_for_each_channel(folder):
    text = edit("ports = <64>", "ports = <1>")
    assert check(folder, text) == []
    text = text.replace("\t\tfile {", '\t\tmore { ends = "writer", "reader"; };\n\t\tfile {')
    assert check(folder, text) == [
        "m.dts:30: /vms/writer: ports: 1 is too few for its 2 channels: write ports = <2>; or more"]


def test_a_kernel_lies_where_its_header_or_the_manifest_says():
    assert kernel.placement(RAW) == (0x80000, len(RAW))
    assert kernel.placement(image_header(0x1000, 0x9000)) == (0x1000, 0x9000)
    assert kernel.placement(image_header(0x1000, 0x9000), 0x2000) == (0x2000, 0x9000)
    # Before Linux 3.17 the header had no size, and the offset in it was not to be trusted.
    assert kernel.placement(image_header(0x1000, 0)) == (0x80000, 64)


BOARD = [
    ("--board-cores", "3", "communication-cores", "m.dts:4: /: communication-cores: "
     "3 is out of range (0 to 2 on this board): name cores that the board has"),
    ("--board-cores", "2", "cores", "m.dts:26: /vms/writer: cores: "
     "2 is out of range (0 to 1 on this board): name cores that the board has"),
    ("--board-memory-mib", "12", "", "m.dts:5: /vms: "
     "the VMs and the image need 13 MiB, the board has 12: lower memory-mib of some VMs"),
]


@pytest.mark.parametrize("option, value, prop, line", BOARD)
def test_what_the_board_lacks_is_told(folder, option, value, prop, line):
    assert check(folder, GOOD) == []
    assert line in check(folder, GOOD, option, value)


def test_a_core_is_left_for_the_vms(folder):
    text = edit("<3>", "<0 1>").replace("cores = <0>;", "").replace("cores = <1 2>;", "")
    assert check(folder, text, "--board-cores", "3") == []
    assert check(folder, text, "--board-cores", "2") == [
        "m.dts:4: /: communication-cores: takes all 2 cores of the board: "
        "leave at least one for the VMs"]


def test_budgets_are_summed_over_all_cores_too(folder):
    text = edit("cores = <1 2>;", "budget-us = <900>; period-us = <1000>;")
    text = text.replace("communication-cores = <3>;", "").replace("cores = <0>;", "")
    assert check(folder, text, "--board-cores", "3") == []
    assert check(folder, text, "--board-cores", "2") == [
        "m.dts:26: /vms/writer: budget-us: with it 220% of one core is promised on 2 cores: "
        "lower it, or lengthen period-us"]


def test_a_manifest_needs_a_vm(folder):
    assert check(folder, '/dts-v1/;\n/ { compatible = "weir,system"; };') == [
        "m.dts:2: /: has no VM: write /vms/NAME with a kernel and memory-mib"]


def test_64_vms_are_the_limit(folder):
    assert check(folder, vms(64)) == []
    assert check(folder, vms(65)) == ["m.dts:2: /vms: has 65 VMs (at most 64): remove some"]


def test_eight_disks_to_a_vm_are_the_limit(folder):
    text = vms(1).replace("<1>;", "<1>; disks = NAMES;")
    text = text.replace("}; };\n", "}; disks { NODES }; };\n")
    for count, lines in ((8, []), (9, ["m.dts:3: /vms/v0: disks: the VM has 9 disks (at most 8): "
                                       "name fewer"])):
        names = ", ".join(f'"d{n}"' for n in range(count))
        nodes = " ".join(f"d{n} {{ }};" for n in range(count))
        assert check(folder, text.replace("NAMES", names).replace("NODES", nodes)) == lines


def test_a_disk_may_be_written_by_two_vms(folder):
    assert check(folder, edit('disks-read-only = "source"', 'disks = "copy"')) == []


def test_all_mistakes_are_told_in_order(folder):
    text = edit("memory-mib = <4>", "memory-mib = <0>").replace("<1 2>", '"x"')
    text = text.replace("partition = <2>", "partitoin = <2>")
    numbers = [int(line.split(":")[1]) for line in check(folder, text)]
    assert numbers == [8, 26, 47]


def test_lines_in_an_included_file_name_that_file(folder):
    (folder / "files/more.dtsi").write_text("/ {\n\tvms {\n\t\treader { prio = <1>; };\n\t};\n};\n")
    assert check(folder, GOOD + '/include/ "more.dtsi"\n') == [
        'files/more.dtsi:3: /vms/reader: prio: no such property here: did you mean "priority"?']


def test_a_file_missing_in_an_included_file_names_that_file(folder):
    (folder / "files/more.dtsi").write_text('/ {\n\tx = /incbin/("nope");\n};\n')
    assert check(folder, GOOD + '/include/ "more.dtsi"\n') == [
        'files/more.dtsi:2: "nope": No such file or directory: '
        "make the file, or name its folder by -I"]


def test_the_line_of_a_large_file_is_known(folder):
    (folder / "files/raw.bin").write_bytes(b"\x7fELF" + os.urandom(300000))
    assert check(folder, GOOD) == [
        "m.dts:7: /vms/reader: kernel: is an ELF file: "
        "make a raw binary of it by `objcopy -O binary`"]


def test_no_file_and_a_folder_are_told(folder):
    for name, what in (("none.dts", "there is no such file"), ("files", "is a directory")):
        done = weir(folder, "check", name)
        assert done.returncode == 1
        assert done.stderr == f"{name}: {what}: name the .dts file of a manifest\n"


def test_an_image_is_no_manifest(folder):
    (folder / "m.dts").write_text(GOOD)
    weir(folder, "image", "m.dts", "-I", "files", "-o", "m.dtb")
    done = weir(folder, "check", "m.dtb")
    assert done.returncode == 1
    assert done.stderr == "m.dtb: is compiled already: name the .dts file that it was made of\n"


def test_an_odd_file_name_is_no_obstacle(folder):
    (folder / "-a b, c.dts").write_text(edit("<4>", "<0>"))
    done = weir(folder, "check", "-I", "files", "--", "-a b, c.dts")
    assert done.stderr.startswith("-a b, c.dts:8: /vms/reader: memory-mib: 0 is out of range")


def test_the_manifest_of_the_main_job_is_right(folder):
    for name in ("reader.bin", "writer.bin"):
        (folder / "files" / name).write_bytes(RAW)
    for cores in ("1", "4"):
        done = weir(folder, "check", ROOT / "configs/carry.dts", "-I", "files",
                    "--board-cores", cores, "--board-memory-mib", "128")
        assert (done.returncode, done.stderr) == (0, "")


def test_each_property_has_a_line_in_the_readme():
    text = (ROOT / "configs/README.md").read_text()
    names = [name for table in properties.TABLES.values() for name in table]
    assert re.findall(r"^\| `([a-z-]+)` \|", text, re.M) == names
    not_yet = re.findall(r"^\| `([a-z-]+)` \|.*not yet", text, re.M)
    assert set(not_yet) == set(manifest.NOT_YET_OF_VM)
