"""
What a manifest may say, and the check that it does.

The tables below are the reference of every property: its type, its range and what to do about a
wrong one. What concerns more than one property (memory, cores, budgets) follows in functions.
The hypervisor checks again at boot; here is where a mistake can still be shown with its line.
"""

import difflib
import re
from typing import NamedTuple

from . import kernel
from .dts import Node, Prop, is_tree
from .errors import printable

MAX_VMS = 64
MAX_VM_DISKS = 8
MAX_VM_DEVICES = 8
DEFAULT_SHARED_KIB = 256
DEFAULT_PORTS = 128
DEFAULT_STORE_NODES = 15
MAX_STORE_NODES = 10000
# Bytes of the tree that is written for a VM, at most: of all, of each.
TREE, TREE_VCPU, TREE_VIRTIO = 1800, 134, 156
MAX_CHANNELS = 8192
MAX_DISKS = 512
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
# Accepted, so that a manifest may say already what a later version will act on.
NOT_YET = ("rights",)
NOT_YET_OF_VM = (*NOT_YET, "watchdog-ms")
RIGHTS_IN_EFFECT = ("console", "manage", "store")


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


def check(root: Node, image_bytes: int = 0, board_cores: int = 0, board_memory_mib: int = 0):
    """All the mistakes in a manifest, as lines. A board figure of 0 means: not known."""
    report = Report()
    _check_shape(report, root)
    groups = {name: root.child(name) or Node(f"/{name}", root.where) for name in GROUPS}
    names = {name: [child.name for child in group.children] for name, group in groups.items()}
    _check_props(report, root, SYSTEM, names)
    if report.lacks(root, "compatible"):
        report.add(root, "compatible", "is missing", 'write compatible = "weir,system";')
    for group, table in GROUPS.items():
        for node in groups[group].children:
            _check_name(report, node)
            _check_props(report, node, table, names)
    vms = groups["vms"].children
    for node in vms:
        _check_vm(report, node)
    for node in groups["channels"].children:
        _check_channel(report, node)
    for node in groups["disks"].children:
        _check_disk(report, node)
    _check_ports(report, vms, groups["channels"].children)
    _check_store(report, vms, groups["channels"].children)
    _check_board(report, root, groups["vms"], image_bytes, board_cores, board_memory_mib)
    return report.lines()


def check_board(root: Node, where: str, image_bytes: int, board_cores: int, board_memory_mib: int):
    """What in an image does not fit the board, as lines. It was checked when it was made."""
    report = Report()
    vms = root.child("vms") or Node("/vms")
    for node, table in [(root, SYSTEM), (vms, {}), *((node, VM) for node in vms.children)]:
        node.where = where
        for prop in node.props.values():
            if prop.value and isinstance(table.get(prop.name), (Number, Numbers)):
                prop.kind = "cells"  # a blob does not say it
    _check_board(report, root, vms, image_bytes, board_cores, board_memory_mib)
    return report.lines()


def warnings(root: Node) -> list:
    """What a manifest without mistakes says in vain, as lines."""
    report = Report()
    for node in [root, *root.child("vms").children]:
        for name in NOT_YET if node is root else NOT_YET_OF_VM:
            words = [word for word in _names(node, name) if word not in RIGHTS_IN_EFFECT]
            if name not in node.props or (name == "rights" and not words):
                continue
            found = [_listed(words)] if name == "rights" else []
            report.add(node, name, *found, "accepted, but this version does not act on it")
    return report.lines()


# What a single node or property may be.


def _check_shape(report: Report, root: Node) -> None:
    for node in root.children:
        if node.name not in GROUPS:
            remedy = _did_you_mean(node.name, GROUPS, "the manifest has /vms, /channels and /disks")
            report.add(node, "", "no such node", remedy)
            continue
        _check_known(report, node, {})
        for leaf in node.children:
            for inner in leaf.children:
                report.add(inner, "", "no such node", f"{leaf.path} has properties only")
    vms = root.child("vms")
    if not vms or not vms.children:
        report.add(vms or root, "", "has no VM", "write /vms/NAME with a kernel and memory-mib")
    for name, most in (("vms", MAX_VMS), ("channels", MAX_CHANNELS), ("disks", MAX_DISKS)):
        group = root.child(name)
        if group and len(group.children) > most:
            what = "VMs" if name == "vms" else name
            found = f"has {len(group.children)} {what} (at most {most})"
            report.add(group, "", found, "remove some")


def _check_name(report: Report, node: Node) -> None:
    if not NAME.fullmatch(node.name):
        remedy = "use up to 31 of a-z, 0-9 and '-', with a letter first"
        report.add(node, "", f'the name "{node.name}" is not allowed', remedy)


def _check_known(report: Report, node: Node, table: dict) -> None:
    for name in node.props:
        if name in table or name in ("phandle", "linux,phandle"):
            continue
        homes = [place for place, other in TABLES.items() if name in other]
        remedy = f"it belongs in {homes[0]}" if homes else _did_you_mean(name, table, "remove it")
        if not homes:
            report.meant.add((node.path, _closest(name, table)))
        report.add(node, name, "no such property here", remedy)


def _check_props(report: Report, node: Node, table: dict, names: dict) -> None:
    _check_known(report, node, table)
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
        remedy = _did_you_mean(name, known, f"it is one of {_listed(known)}")
    else:
        there = f"/{rule.of} has {_listed(known)}" if known else f"/{rule.of} has no nodes"
        remedy = _did_you_mean(name, known, there)
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
        remedy = f"write {_listed(rule.words)}"
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


# What several properties must be together.


def _check_vm(report: Report, node: Node) -> None:
    if report.lacks(node, "kernel"):
        report.add(node, "kernel", "is missing", 'write kernel = /incbin/("FILE");')
    if report.lacks(node, "memory-mib", "memory-kib"):
        report.add(node, "memory-mib", "is missing", "write memory-mib = <64>; or memory-kib")
    if "memory-mib" in node.props and "memory-kib" in node.props:
        report.add(node, "memory-kib", "stands beside memory-mib", "keep one of the two")
    for given, other in (("budget-us", "period-us"), ("period-us", "budget-us")):
        if given in node.props and report.lacks(node, other):
            report.add(node, given, f"stands without {other}", f"write {other} = <...>; as well")
    budget, period = _number(node, "budget-us"), _number(node, "period-us")
    if budget and period and budget > period:
        found = f"{budget} is out of range (1 to {period}, the period-us)"
        report.add(node, "budget-us", found, "lower it, or lengthen period-us")
    if "dma-unsafe" in node.props and report.lacks(node, "memory-direct"):
        report.add(node, "dma-unsafe", "stands without memory-direct", "write memory-direct; as well")
    if node.name in _names(node, "peers"):
        report.add(node, "peers", f'"{node.name}" is the VM itself', "name other VMs only")
    for name in set(_names(node, "disks")) & set(_names(node, "disks-read-only")):
        found = f'"{name}" is in disks as well'
        report.add(node, "disks-read-only", found, "name it in one of the two")
    disks = len(_names(node, "disks")) + len(_names(node, "disks-read-only"))
    if disks > MAX_VM_DISKS:
        found = f"the VM has {disks} disks (at most {MAX_VM_DISKS})"
        last = "disks-read-only" if "disks-read-only" in node.props else "disks"
        report.add(node, last, found, "name fewer")
    _check_fit(report, node)


def _check_fit(report: Report, node: Node) -> None:
    """The kernel, the ramdisk, the device tree and the shareable pool share the VM's RAM."""
    memory = _memory_bytes(node)
    if not memory:
        return
    name = "memory-kib" if "memory-kib" in node.props else "memory-mib"
    shared = _number(node, "shared-kib", DEFAULT_SHARED_KIB) * 1024
    if shared >= memory and "shared-kib" in node.props:
        found = f"{shared // 1024} is out of range (0 to {memory // 1024 - 4}, below {name})"
        report.add(node, "shared-kib", found, f"lower it, or raise {name}")
        return
    if "kernel" not in node.props or not node.props["kernel"].value:
        return
    ramdisk = len(node.props["ramdisk"].value) if "ramdisk" in node.props else 0
    own = _number(node, "load-offset") if "load-offset" in node.props else None
    start, size = kernel.placement(node.props["kernel"].value, own)
    tree = _tree_room(node)
    need = _pages(start + size) + _pages(ramdisk) + tree + shared
    if need > memory:
        parts = f"kernel {_kib(size)} at offset {_kib(start)}"
        parts += f", ramdisk {_kib(ramdisk)}" if ramdisk else ""
        parts += f", device tree {_kib(tree)}, shared-kib {shared // 1024}"
        unit = 1024 if name == "memory-kib" else 1 << 20
        found = f"{memory // unit} is too small for {parts}"
        report.add(node, name, found, f"give at least {-(-need // unit)}")


def _tree_room(node: Node) -> int:
    """For the VM's device tree: its own, or the one that is written for it."""
    if "tree" in node.props:
        return _pages(len(node.props["tree"].value))
    bootargs = len(node.props["bootargs"].value) - 1 if "bootargs" in node.props else 0
    disks = len(_names(node, "disks")) + len(_names(node, "disks-read-only"))
    virtio = disks + 1 if disks else 0
    text = TREE + TREE_VCPU * (_number(node, "vcpus") or 1) + TREE_VIRTIO * virtio + bootargs
    return _pages(text) + 4096 * ("devices" in node.props)


def _check_channel(report: Report, node: Node) -> None:
    ends = _names(node, "ends")
    if report.lacks(node, "ends"):
        report.add(node, "ends", "is missing", 'write ends = "one-vm", "other-vm";')
    elif ends and len(ends) != 2:
        found = f"names {_listed(ends)} (must be two different VMs)"
        report.add(node, "ends", found, 'write ends = "one-vm", "other-vm";')


def _check_disk(report: Report, node: Node) -> None:
    for name in ("first-sector", "sectors"):
        if "partition" in node.props and name in node.props:
            remedy = "keep partition, or first-sector and sectors"
            report.add(node, name, "stands beside partition", remedy)
    first, sectors = _number(node, "first-sector"), _number(node, "sectors")
    if first + sectors > 1 << 32:
        found = f"ends at sector {first + sectors} (at most {1 << 32})"
        report.add(node, "sectors", found, "lower first-sector or sectors")


def _check_ports(report: Report, vms: list, channels: list) -> None:
    for node in vms:
        ports = _number(node, "ports", DEFAULT_PORTS)
        joined = sum(node.name in _names(channel, "ends") for channel in channels)
        if joined > ports:
            found = f"{ports} is too few for its {joined} channels"
            report.add(node, "ports", found, f"write ports = <{joined}>; or more")


def _check_store(report: Report, vms: list, channels: list) -> None:
    """All nodes of the store are in one piece of memory."""
    total = 0
    for node in vms:
        named = [_names(other, "peers") for other in vms] + [_names(channel, "ends") for channel in channels]
        talks = "peers" in node.props or any(node.name in names for names in named)
        takes_part = talks or "store" in _names(node, "rights")
        nodes = _number(node, "store-nodes", DEFAULT_STORE_NODES if takes_part else 0)
        total += nodes
        if nodes and total > MAX_STORE_NODES:
            found = f"{nodes} nodes are more than the {MAX_STORE_NODES - total + nodes} that are left of {MAX_STORE_NODES}"
            report.add(node, "store-nodes", found, "lower it, or those of other VMs")
            return


def _check_board(report: Report, root: Node, vms: Node, image_bytes: int, cores: int, mib: int):
    _check_cores(report, root, vms.children, cores)
    _check_budgets(report, root, vms.children, cores)
    _check_board_memory(report, vms, image_bytes, mib)


def _check_cores(report: Report, root: Node, vms: list, board_cores: int) -> None:
    reserved = _cells(root, "communication-cores")
    for core in dict.fromkeys(reserved):
        if reserved.count(core) > 1:
            found = f"core {core} is named twice"
            report.add(root, "communication-cores", found, "name it once")
    _check_on_board(report, root, "communication-cores", board_cores)
    if board_cores and set(range(board_cores)) <= set(reserved):
        found = f"takes all {board_cores} cores of the board"
        report.add(root, "communication-cores", found, "leave at least one for the VMs")
    for node in vms:
        _check_on_board(report, node, "cores", board_cores)
        for core in set(_cells(node, "cores")) & set(reserved):
            found = f"{core} is one of communication-cores"
            report.add(node, "cores", found, "name cores that run VMs")


def _check_on_board(report: Report, node: Node, name: str, board_cores: int) -> None:
    for core in _cells(node, name):
        if board_cores and board_cores <= core <= CORES.high:
            found = f"{core} is out of range (0 to {board_cores - 1} on this board)"
            report.add(node, name, found, "name cores that the board has")


def _check_budgets(report: Report, root: Node, vms: list, board_cores: int) -> None:
    """No core, and not all cores together, may be promised more than the whole of their time."""
    reserved = set(_cells(root, "communication-cores"))
    total, by_core, limit = 0.0, {}, len(set(range(board_cores)) - reserved)
    for node in vms:
        budget, period = _number(node, "budget-us"), _number(node, "period-us")
        cores, vcpus = _cells(node, "cores"), _number(node, "vcpus", 1)
        if not budget or not period or budget > period:
            continue
        total += vcpus * budget / period
        if limit and total > limit + 1e-9:
            found = f"with it {total:.0%} of one core is promised on {limit} cores"
            report.add(node, "budget-us", found, "lower it, or lengthen period-us")
        for index in range(vcpus if cores else 0):
            core = cores[index % len(cores)]
            by_core[core] = by_core.get(core, 0.0) + budget / period
            if by_core[core] > 1 + 1e-9:
                found = f"with it {by_core[core]:.0%} of core {core} is promised"
                report.add(node, "budget-us", found, "lower it, or name other cores")


def _check_board_memory(report: Report, vms: Node, image_bytes: int, board_mib: int) -> None:
    if not board_mib:
        return
    need = image_bytes + sum(_memory_bytes(node) for node in vms.children)
    if need > board_mib << 20:
        found = f"the VMs and the image need {-(-need >> 20)} MiB, the board has {board_mib}"
        report.add(vms, "", found, "lower memory-mib of some VMs")


# Values, where they are well formed; what is not has its own line already.


def _number(node: Node, name: str, default: int = 0) -> int:
    prop, rule = node.props.get(name), VM.get(name) or DISK[name]
    if not prop or not _is_cells(prop) or not rule.low <= prop.cells()[0] <= rule.high:
        return default
    return prop.cells()[0]


def _cells(node: Node, name: str) -> list:
    prop = node.props.get(name)
    return prop.cells() if prop and _is_cells(prop) else []


def _names(node: Node, name: str) -> list:
    prop = node.props.get(name)
    return prop.strings() if prop and _is_text(prop) else []


def _memory_bytes(node: Node) -> int:
    return _number(node, "memory-kib") * 1024 or _number(node, "memory-mib") << 20


def _is_cells(prop: Prop) -> bool:
    return prop.kind == "cells" and len(prop.value) % 4 == 0


def _is_text(prop: Prop) -> bool:
    return prop.kind == "strings" and prop.value.endswith(b"\0")


def _looks_like_a_name(prop: Prop) -> bool:
    return _is_text(prop) and len(prop.value) < 256 and len(prop.strings()) == 1


def _pages(size: int) -> int:
    return -(-size // 4096) * 4096


def _kib(size: int) -> str:
    return f"{-(-size // 1024)} KiB"


# Words.


def _found(prop: Prop) -> str:
    if prop.kind == "flag":
        return "nothing"
    if _is_text(prop) and len(prop.value) < 60:
        return _listed(prop.strings())
    if _is_cells(prop) and len(prop.value) <= 40:
        return f"<{' '.join(str(cell) for cell in prop.cells())}>"
    return f"a value of {len(prop.value)} bytes"


def _listed(words) -> str:
    return ", ".join(f'"{word}"' for word in words)


def _closest(name: str, known) -> str:
    """The known name that a typo stands for, or nothing."""
    return next(iter(difflib.get_close_matches(name.lower(), list(known), 1, 0.6)), "")


def _did_you_mean(name: str, known, otherwise: str) -> str:
    close = _closest(name, known)
    return f'did you mean "{close}"?' if close else otherwise
