"""
What a single node or property of a manifest may be.

The tables below are the reference of every property: its type, its range and what to do about a wrong one.
core/manifest.c and core/manifest_vm.c say the same.
"""

import difflib
import re
from typing import NamedTuple

from . import kernel
from .dts import Node, Prop, is_tree
from .errors import printable

MAX_VM_DEVICES = 8
NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


class Number(NamedTuple):
    low: int
    high: int
    advice: str
    multiple: int = 1


class Numbers(NamedTuple):
    high: int
    advice: str


class Names(NamedTuple):
    of: str  # what is named: the heading of a list of nodes, or of fixed words
    words: tuple = ()


class Paths(NamedTuple):
    pass


class Text(NamedTuple):
    longest: int


class Word(NamedTuple):
    words: tuple


class Flag(NamedTuple):
    pass


class File(NamedTuple):
    pass


MINUTE_MS = 60000
CORES = Numbers(31, "number the cores as the board's device tree does, from 0")

SYSTEM = {
    "compatible": Word(("weir,system",)),
    "communication-cores": CORES,
    "stay": Flag(),
    "watchdog-ms": Number(100, 15000, "give milliseconds, or leave the property out"),
}
VM = {
    "kernel": File(),
    "ramdisk": File(),
    "tree": File(),
    "bootargs": Text(2047),
    "memory-mib": Number(1, 262144, "give the VM at least 1 MiB"),
    "memory-kib": Number(64, 262144 << 10, "give the VM whole pages, at least 64 KiB", 4),
    "load-offset": Number(0, 0xFFFFF000, "give bytes from the start of RAM, in whole pages", 4096),
    "vcpus": Number(1, 16, "give the VM as many vCPUs as it has work for at the same time"),
    "cores": CORES,
    "priority": Number(0, 7, "7 is served first, 3 is the default"),
    "budget-us": Number(1, 10000000, "give the microseconds that it may run in each period-us"),
    "period-us": Number(1, 10000000, "give the microseconds after which budget-us is refilled"),
    "shared-kib": Number(0, 262144 << 10, "give whole pages", 4),
    "window-kib": Number(4, 720 << 10, "give whole pages, 720 MiB at most", 4),
    "ports": Number(1, 8192, "128 is the default"),
    "peers": Names("vms"),
    "store-nodes": Number(0, 10000, "15 is the default for a VM that may talk to others"),
    "store-bytes": Number(0, 1280000, "give the bytes of all values of its nodes"),
    "store-watches": Number(0, 256, "16 is the default for a VM that may talk to others"),
    "rights": Names("rights", ("console", "manage", "introspect", "store")),
    "disks": Names("disks"),
    "disks-read-only": Names("disks"),
    "devices": Paths(),
    "memory-direct": Flag(),
    "dma-unsafe": Flag(),
    "on-fault": Word(("halt", "restart", "stop-machine")),
    "watchdog-ms": Number(1, 60 * MINUTE_MS, "give milliseconds, or leave the property out"),
    "upcall-ms": Number(1, 60 * MINUTE_MS, "give milliseconds, or leave the property out"),
    "pmu": Flag(),
}
CHANNEL = {
    "ends": Names("vms"),
}
DISK = {
    "device": Number(0, 7, "count the board's disks from 0"),
    "first-sector": Number(0, 0xFFFFFFFF, "count sectors of 512 bytes from 0"),
    "sectors": Number(1, 0xFFFFFFFF, "give the length in sectors of 512 bytes"),
    "partition": Number(1, 4, "name one of the four primary partitions of an MBR"),
}
TABLES = {"/": SYSTEM, "/vms/NAME": VM, "/channels/NAME": CHANNEL, "/disks/NAME": DISK}
GROUPS = {"vms": VM, "channels": CHANNEL, "disks": DISK}


class Report:
    """Collects the mistakes, each as one line."""

    def __init__(self):
        self.entries = []
        self.meant = set()  # (path, property): what a typo was taken for, which is not missing

    def add(self, node: Node, prop: str, *words: str) -> None:
        where = node.props[prop].where if prop in node.props else ""
        place = f"{where or node.where}: {node.path}: {prop + ': ' if prop else ''}"
        self.entries.append(printable(place + ": ".join(words)))

    def lacks(self, node: Node, *props: str) -> bool:
        """Whether the node has none of them, nor a typo that was told to be one."""
        return not any(prop in node.props or (node.path, prop) in self.meant for prop in props)

    def lines(self) -> list:
        """In the order of the source, each once."""

        def order(entry):
            place = re.match(r"(.*?):(\d+): ", entry)
            return (place[1], int(place[2])) if place else ("", 0)

        return sorted(dict.fromkeys(self.entries), key=order)


def check_name(report: Report, node: Node) -> None:
    if not NAME.fullmatch(node.name):
        remedy = "use up to 31 of a-z, 0-9 and '-', with a letter first"
        report.add(node, "", f'the name "{node.name}" is not allowed', remedy)


def check_known(report: Report, node: Node, table: dict) -> None:
    for name in node.props:
        if name in table or name in ("phandle", "linux,phandle"):
            continue
        homes = [place for place, other in TABLES.items() if name in other]
        remedy = f"it belongs in {homes[0]}" if homes else did_you_mean(name, table, "remove it")
        if not homes:
            report.meant.add((node.path, _closest(name, table)))
        report.add(node, name, "no such property here", remedy)


def check_props(report: Report, node: Node, table: dict, names: dict) -> None:
    check_known(report, node, table)
    for name, rule in table.items():
        if name in node.props:
            CHECKS[type(rule)](report, node, node.props[name], rule, names)


def _check_number(report: Report, node: Node, prop: Prop, rule: Number, names: dict) -> None:
    if not _is_cells(prop) or len(prop.cells()) != 1:
        remedy = f"write one number, {prop.name} = <{max(rule.low, 1) * rule.multiple}>;"
        report.add(node, prop.name, f"{_found(prop)} is not one number", remedy)
        return
    value = prop.cells()[0]
    if not rule.low <= value <= rule.high:
        found = f"{value} is out of range ({rule.low} to {rule.high})"
        report.add(node, prop.name, found, rule.advice)
    elif value % rule.multiple:
        below = value - value % rule.multiple
        found = f"{value} is not a multiple of {rule.multiple} ({rule.low} to {rule.high})"
        near = f"{below} or {below + rule.multiple}" if below >= rule.low else rule.low
        report.add(node, prop.name, found, f"take {near}")


def _check_numbers(report: Report, node: Node, prop: Prop, rule: Numbers, names: dict) -> None:
    if not _is_cells(prop):
        found = f"{_found(prop)} is not a list of numbers"
        report.add(node, prop.name, found, f"write {prop.name} = <0>; or <0 1>;")
        return
    for value in prop.cells():
        if value > rule.high:
            found = f"{value} is out of range (0 to {rule.high})"
            report.add(node, prop.name, found, rule.advice)


def _check_names(report: Report, node: Node, prop: Prop, rule: Names, names: dict) -> None:
    known = rule.words or names[rule.of]
    if not _is_text(prop):
        remedy = f'write names in quotes, {prop.name} = "{next(iter(known), "name")}";'
        report.add(node, prop.name, f"{_found(prop)} is not a list of names", remedy)
        return
    given = prop.strings()
    for name in dict.fromkeys(given):
        if name not in known:
            _add_unknown_name(report, node, prop, rule, known, name)
        elif given.count(name) > 1:
            report.add(node, prop.name, f'"{name}" is named twice', "name it once")


def _check_paths(report: Report, node: Node, prop: Prop, rule: Paths, names: dict) -> None:
    """Nodes of the machine's tree, by path or alias; whether they are there the hypervisor sees."""
    given = prop.strings() if _is_text(prop) else []
    if not all(given) or not given:
        remedy = f'write paths of the machine\'s device tree in quotes, {prop.name} = "/rtc@9010000";'
        report.add(node, prop.name, f"{_found(prop)} is not a list of names", remedy)
        return
    for name in dict.fromkeys(given):
        if given.count(name) > 1:
            report.add(node, prop.name, f'"{name}" is named twice', "name it once")
    if len(given) > MAX_VM_DEVICES:
        found = f"the VM has {len(given)} devices (at most {MAX_VM_DEVICES})"
        report.add(node, prop.name, found, "name fewer")


def _add_unknown_name(report, node, prop, rule, known, name) -> None:
    base = name.rpartition("/")[2]
    if name.startswith("/") and base in known:
        remedy = f'write the name only, "{base}"'
    elif rule.words:
        remedy = did_you_mean(name, known, f"it is one of {listed(known)}")
    else:
        there = f"/{rule.of} has {listed(known)}" if known else f"/{rule.of} has no nodes"
        remedy = did_you_mean(name, known, there)
    what = f'"{name}" is not a right' if rule.words else f'there is no /{rule.of}/{base}'
    report.add(node, prop.name, what, remedy)


def _check_text(report: Report, node: Node, prop: Prop, rule: Text, names: dict) -> None:
    if not _is_text(prop) or len(prop.strings()) != 1:
        remedy = f'write {prop.name} = "...";'
        report.add(node, prop.name, f"{_found(prop)} is not one text", remedy)
    elif len(prop.value) - 1 > rule.longest:
        found = f"has {len(prop.value) - 1} bytes (at most {rule.longest})"
        report.add(node, prop.name, found, "shorten it")


def _check_word(report: Report, node: Node, prop: Prop, rule: Word, names: dict) -> None:
    if not _is_text(prop) or len(prop.strings()) != 1:
        remedy = f'write {prop.name} = "{rule.words[0]}";'
        report.add(node, prop.name, f"{_found(prop)} is not one word", remedy)
    elif prop.strings()[0] not in rule.words:
        remedy = f"write {listed(rule.words)}"
        report.add(node, prop.name, f'"{prop.strings()[0]}" is not allowed', remedy)


def _check_flag(report: Report, node: Node, prop: Prop, rule: Flag, names: dict) -> None:
    if prop.value:
        remedy = f"write {prop.name}; for yes, nothing for no"
        report.add(node, prop.name, f"{_found(prop)} given to a flag", remedy)


def _check_file(report: Report, node: Node, prop: Prop, rule: File, names: dict) -> None:
    include = f'{prop.name} = /incbin/("FILE");'
    if not prop.value:
        report.add(node, prop.name, "is empty", f"write {include} with a file that has content")
    elif prop.name != "ramdisk" and _looks_like_a_name(prop):
        remedy = f"write {include.replace('FILE', prop.strings()[0])}"
        report.add(node, prop.name, f"{_found(prop)} is not a file's content", remedy)
    elif prop.name == "kernel" and kernel.refused(prop.value):
        what, remedy = kernel.refused(prop.value)
        report.add(node, prop.name, f"is {what}", remedy)
    elif prop.name == "tree" and not is_tree(prop.value):
        remedy = "compile it by `dtc -O dtb` and include the result"
        report.add(node, prop.name, "is not a device-tree blob", remedy)


CHECKS = {
    Number: _check_number,
    Numbers: _check_numbers,
    Names: _check_names,
    Paths: _check_paths,
    Text: _check_text,
    Word: _check_word,
    Flag: _check_flag,
    File: _check_file,
}


# Values, where they are well formed; what is not has its own line already.


def number(node: Node, name: str, default: int = 0) -> int:
    prop, rule = node.props.get(name), VM.get(name) or DISK[name]
    if not prop or not _is_cells(prop) or not rule.low <= prop.cells()[0] <= rule.high:
        return default
    return prop.cells()[0]


def cells(node: Node, name: str) -> list:
    prop = node.props.get(name)
    return prop.cells() if prop and _is_cells(prop) else []


def names_in(node: Node, name: str) -> list:
    prop = node.props.get(name)
    return prop.strings() if prop and _is_text(prop) else []


def _is_cells(prop: Prop) -> bool:
    return prop.kind == "cells" and len(prop.value) % 4 == 0


def _is_text(prop: Prop) -> bool:
    return prop.kind == "strings" and prop.value.endswith(b"\0")


def _looks_like_a_name(prop: Prop) -> bool:
    return _is_text(prop) and len(prop.value) < 256 and len(prop.strings()) == 1


# Words.


def _found(prop: Prop) -> str:
    if prop.kind == "flag":
        return "nothing"
    if _is_text(prop) and len(prop.value) < 60:
        return listed(prop.strings())
    if _is_cells(prop) and len(prop.value) <= 40:
        return f"<{' '.join(str(cell) for cell in prop.cells())}>"
    return f"a value of {len(prop.value)} bytes"


def listed(words) -> str:
    return ", ".join(f'"{word}"' for word in words)


def _closest(name: str, known) -> str:
    """The known name that a typo stands for, or nothing."""
    return next(iter(difflib.get_close_matches(name.lower(), list(known), 1, 0.6)), "")


def did_you_mean(name: str, known, otherwise: str) -> str:
    close = _closest(name, known)
    return f'did you mean "{close}"?' if close else otherwise
