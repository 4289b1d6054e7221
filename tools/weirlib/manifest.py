"""
What a manifest as a whole must be: memory, cores, budgets, names that refer to others. What a single property may be
stands in properties.py. The hypervisor checks again at boot; here is where a mistake can still be shown with its line.
"""

from . import kernel
from .dts import Node
from .properties import (CORES, GROUPS, SYSTEM, VM, Number, Numbers, Report, cells, check_known, check_name,
                         check_props, did_you_mean, listed, names_in, number)

MAX_VMS = 64
MAX_VM_DISKS = 8
DEFAULT_SHARED_KIB = 256
DEFAULT_PORTS = 128
DEFAULT_STORE_NODES = 15
MAX_STORE_NODES = 10000
# Bytes of the tree that is written for a VM, at most: of all, of each.
TREE, TREE_VCPU, TREE_VIRTIO = 1800, 134, 156
MAX_CHANNELS = 8192
MAX_DISKS = 512
# Accepted, so that a manifest may say already what a later version will act on.
NOT_YET = ("rights",)
NOT_YET_OF_VM = (*NOT_YET, "watchdog-ms")
RIGHTS_IN_EFFECT = ("console", "manage", "store")


def check(root: Node, image_bytes: int = 0, board_cores: int = 0, board_memory_mib: int = 0):
    """All the mistakes in a manifest, as lines. A board figure of 0 means: not known."""
    report = Report()
    _check_shape(report, root)
    groups = {name: root.child(name) or Node(f"/{name}", root.where) for name in GROUPS}
    names = {name: [child.name for child in group.children] for name, group in groups.items()}
    check_props(report, root, SYSTEM, names)
    if report.lacks(root, "compatible"):
        report.add(root, "compatible", "is missing", 'write compatible = "weir,system";')
    for group, table in GROUPS.items():
        for node in groups[group].children:
            check_name(report, node)
            check_props(report, node, table, names)
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
            words = [word for word in names_in(node, name) if word not in RIGHTS_IN_EFFECT]
            if name not in node.props or (name == "rights" and not words):
                continue
            found = [listed(words)] if name == "rights" else []
            report.add(node, name, *found, "accepted, but this version does not act on it")
    _warn_of_overlaps(report, root)
    return report.lines()


def _check_shape(report: Report, root: Node) -> None:
    for node in root.children:
        if node.name not in GROUPS:
            remedy = did_you_mean(node.name, GROUPS, "the manifest has /vms, /channels and /disks")
            report.add(node, "", "no such node", remedy)
            continue
        check_known(report, node, {})
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
    budget, period = number(node, "budget-us"), number(node, "period-us")
    if budget and period and budget > period:
        found = f"{budget} is out of range (1 to {period}, the period-us)"
        report.add(node, "budget-us", found, "lower it, or lengthen period-us")
    if "dma-unsafe" in node.props and report.lacks(node, "memory-direct"):
        report.add(node, "dma-unsafe", "stands without memory-direct", "write memory-direct; as well")
    if node.name in names_in(node, "peers"):
        report.add(node, "peers", f'"{node.name}" is the VM itself', "name other VMs only")
    for name in set(names_in(node, "disks")) & set(names_in(node, "disks-read-only")):
        found = f'"{name}" is in disks as well'
        report.add(node, "disks-read-only", found, "name it in one of the two")
    disks = len(names_in(node, "disks")) + len(names_in(node, "disks-read-only"))
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
    shared = number(node, "shared-kib", DEFAULT_SHARED_KIB) * 1024
    if shared >= memory and "shared-kib" in node.props:
        found = f"{shared // 1024} is out of range (0 to {memory // 1024 - 4}, below {name})"
        report.add(node, "shared-kib", found, f"lower it, or raise {name}")
        return
    if "kernel" not in node.props or not node.props["kernel"].value:
        return
    ramdisk = len(node.props["ramdisk"].value) if "ramdisk" in node.props else 0
    own = number(node, "load-offset") if "load-offset" in node.props else None
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
    disks = len(names_in(node, "disks")) + len(names_in(node, "disks-read-only"))
    virtio = disks + 1 if disks else 0
    text = TREE + TREE_VCPU * (number(node, "vcpus") or 1) + TREE_VIRTIO * virtio + bootargs
    return _pages(text) + 4096 * ("devices" in node.props)


def _check_channel(report: Report, node: Node) -> None:
    ends = names_in(node, "ends")
    if report.lacks(node, "ends"):
        report.add(node, "ends", "is missing", 'write ends = "one-vm", "other-vm";')
    elif ends and len(ends) != 2:
        found = f"names {listed(ends)} (must be two different VMs)"
        report.add(node, "ends", found, 'write ends = "one-vm", "other-vm";')


def _check_disk(report: Report, node: Node) -> None:
    for name in ("first-sector", "sectors"):
        if "partition" in node.props and name in node.props:
            remedy = "keep partition, or first-sector and sectors"
            report.add(node, name, "stands beside partition", remedy)
    first, sectors = number(node, "first-sector"), number(node, "sectors")
    if first + sectors > 1 << 32:
        found = f"ends at sector {first + sectors} (at most {1 << 32})"
        report.add(node, "sectors", found, "lower first-sector or sectors")


def _overlap(one: Node, other: Node) -> bool:
    """Whether two disks have sectors of the same device, as far as the manifest says."""
    if number(one, "device") != number(other, "device") or "partition" in {**one.props, **other.props}:
        return False
    first = [number(node, "first-sector") for node in (one, other)]
    ends = [begin + (number(node, "sectors") or 1 << 33) for begin, node in zip(first, (one, other))]
    return first[0] < ends[1] and first[1] < ends[0]


def _warn_of_overlaps(report: Report, root: Node) -> None:
    """A disk that several VMs may write is read-only as a virtio device, by whatever name they have its sectors."""
    disks = root.child("disks").children if root.child("disks") else []
    writers = {disk.name: [vm.name for vm in root.child("vms").children if disk.name in names_in(vm, "disks")]
               for disk in disks}
    for disk in disks:
        if len(writers[disk.name]) != 1:
            continue
        for other in disks:
            rivals = [name for name in writers[other.name] if name not in writers[disk.name]]
            if other is not disk and rivals and _overlap(disk, other):
                prop = next((name for name in ("sectors", "first-sector", "device") if name in disk.props), "")
                found = f"overlaps /disks/{other.name}, which {listed(rivals)} may write"
                report.add(disk, prop, found, "as a virtio device it is read-only")


def _check_ports(report: Report, vms: list, channels: list) -> None:
    for node in vms:
        ports = number(node, "ports", DEFAULT_PORTS)
        joined = sum(node.name in names_in(channel, "ends") for channel in channels)
        if joined > ports:
            found = f"{ports} is too few for its {joined} channels"
            report.add(node, "ports", found, f"write ports = <{joined}>; or more")


def _check_store(report: Report, vms: list, channels: list) -> None:
    """All nodes of the store are in one piece of memory."""
    total = 0
    for node in vms:
        named = [names_in(other, "peers") for other in vms] + [names_in(channel, "ends") for channel in channels]
        talks = "peers" in node.props or any(node.name in names for names in named)
        takes_part = talks or "store" in names_in(node, "rights")
        nodes = number(node, "store-nodes", DEFAULT_STORE_NODES if takes_part else 0)
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
    reserved = cells(root, "communication-cores")
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
        for core in set(cells(node, "cores")) & set(reserved):
            found = f"{core} is one of communication-cores"
            report.add(node, "cores", found, "name cores that run VMs")


def _check_on_board(report: Report, node: Node, name: str, board_cores: int) -> None:
    for core in cells(node, name):
        if board_cores and board_cores <= core <= CORES.high:
            found = f"{core} is out of range (0 to {board_cores - 1} on this board)"
            report.add(node, name, found, "name cores that the board has")


def _check_budgets(report: Report, root: Node, vms: list, board_cores: int) -> None:
    """No core, and not all cores together, may be promised more than the whole of their time."""
    reserved = set(cells(root, "communication-cores"))
    total, by_core, limit = 0.0, {}, len(set(range(board_cores)) - reserved)
    for node in vms:
        budget, period = number(node, "budget-us"), number(node, "period-us")
        cores, vcpus = cells(node, "cores"), number(node, "vcpus", 1)
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


def _memory_bytes(node: Node) -> int:
    return number(node, "memory-kib") * 1024 or number(node, "memory-mib") << 20


def _pages(size: int) -> int:
    return -(-size // 4096) * 4096


def _kib(size: int) -> str:
    return f"{-(-size // 1024)} KiB"
