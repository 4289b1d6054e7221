"""
A manifest as dtc sees it: the values by libfdt, the lines and types by `dtc --annotate`.

dtc runs twice over the same source: once for the blob, whose bytes are what the hypervisor will
read, and once for the annotated text, which alone knows where a property was written and whether
as text or as numbers.
"""

import os
import re
import subprocess
from dataclasses import dataclass, field

from .errors import Mistake, printable
from .kernel import TREE_MAGIC

try:
    import libfdt
except ImportError:
    libfdt = None

LONGEST_LINE = 65536
LONGEST_TEXT = 8192  # of a property whose type matters; its line is at most four times as long


@dataclass
class Prop:
    name: str
    value: bytes
    where: str = ""
    kind: str = "bytes"  # "flag", "cells", "strings", "bytes" or "mixed"

    def cells(self) -> list:
        return [int.from_bytes(self.value[i : i + 4], "big") for i in range(0, len(self.value), 4)]

    def strings(self) -> list:
        return self.value[:-1].decode("utf-8", "backslashreplace").split("\0")


@dataclass
class Node:
    path: str
    where: str = ""
    props: dict = field(default_factory=dict)
    children: list = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def child(self, name: str):
        return next((node for node in self.children if node.name == name), None)


def read(manifest: str, include_dirs: list, blob_path: str, deps_path: str = "") -> Node:
    """Compiles `manifest` into `blob_path` and returns its root. Raises Mistake."""
    if not os.path.isfile(manifest):
        what = "is a directory" if os.path.isdir(manifest) else "there is no such file"
        raise Mistake(f"{manifest}: {what}: name the .dts file of a manifest")
    with open(manifest, "rb") as file:
        if file.read(4) == TREE_MAGIC:
            remedy = "name the .dts file that it was made of"
            raise Mistake(f"{printable(manifest)}: is compiled already: {remedy}")
    deps = ["-d", deps_path] if deps_path else []
    _compile(manifest, include_dirs, ["-O", "dtb", "-o", blob_path, *deps])
    root = load_blob(blob_path)
    command = _command(manifest, include_dirs, ["-O", "dts", "-T", "-T"])
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as dtc:
        _annotate(root, _lines(dtc.stdout))
    if dtc.returncode:
        raise Mistake(f"{manifest}: changed while it was read: try again")
    return root


def load_blob(path: str) -> Node:
    """The tree in a blob, without lines. Raises Mistake if it is not one."""
    with open(path, "rb") as file:
        return load_tree(file.read(), path)


def load_tree(data: bytes, path: str) -> Node:
    if libfdt is None:
        raise Mistake("python3-libfdt is missing: tools/setup installs it")
    try:
        fdt = libfdt.FdtRo(data)
        if fdt.totalsize() > len(data):
            raise ValueError
        return _load_node(fdt, 0, "/")
    except (libfdt.FdtException, ValueError):
        raise Mistake(
            f"{printable(path)}: not a device-tree blob: make one with `tools/weir image`"
        ) from None


def is_tree(data: bytes) -> bool:
    """Whether a blob is a device tree as a whole, as the hypervisor asks libfdt."""
    try:
        fdt = libfdt.FdtRo(data)
        _load_node(fdt, 0, "/")
    except (libfdt.FdtException, ValueError):
        return False
    return fdt.totalsize() <= len(data)


def _load_node(fdt, offset: int, path: str) -> Node:
    node = Node(path)
    at = fdt.first_property_offset(offset, libfdt.QUIET_NOTFOUND)
    while at >= 0:
        prop = fdt.get_property_by_offset(at)
        node.props[prop.name] = Prop(prop.name, bytes(prop))
        at = fdt.next_property_offset(at, libfdt.QUIET_NOTFOUND)
    at = fdt.first_subnode(offset, libfdt.QUIET_NOTFOUND)
    while at >= 0:
        node.children.append(_load_node(fdt, at, f"{path.rstrip('/')}/{fdt.get_name(at)}"))
        at = fdt.next_subnode(at, libfdt.QUIET_NOTFOUND)
    return node


def _command(manifest: str, include_dirs: list, options: list) -> list:
    search = [word for path in include_dirs for word in ("-i", path)]
    # -q: dtc's warnings are about buses and addresses, which a manifest does not have.
    return ["dtc", "-q", "-I", "dts", *options, *search, "--", manifest]


def _compile(manifest: str, include_dirs: list, options: list) -> None:
    command = _command(manifest, include_dirs, options)
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except FileNotFoundError:
        raise Mistake("dtc is missing (device-tree-compiler): tools/setup installs it") from None
    if done.returncode:
        text = done.stderr.decode("utf-8", "backslashreplace")
        raise Mistake("\n".join(_readable(manifest, include_dirs, text)))


def _readable(manifest: str, include_dirs: list, text: str) -> list:
    """dtc's complaints in the form of ours: file:line: what: remedy."""
    lines = []
    for line in text.splitlines():
        syntax = re.match(r"Error: (.+):(\d+)\.\d+\S* (.*)", line)
        check = re.match(r"(.+?):(\d+)\.\d+\S*: ERROR \(\w+\): (.*)", line)
        missing = re.search(r"Couldn't open \"(.*)\": (.*)", line)
        if syntax:
            lines.append(_syntax(*syntax.groups()))
        elif check:
            lines.append(f"{check[1]}:{check[2]}: {check[3]}")
        elif missing:
            where = _mention(manifest, include_dirs, missing[1]) or manifest
            lines.append(
                f"{where}: \"{missing[1]}\": {missing[2]}: make the file, or name its folder by -I"
            )
    return lines or [f"{manifest}: dtc: {line}" for line in text.splitlines()]


def _syntax(file: str, line: str, what: str) -> str:
    remedy = ""
    if what == "syntax error":
        remedy = ": is a ';', a quote or a bracket missing here or on the line before?"
        with open(file, encoding="utf-8", errors="replace") as source:
            if "/dts-v1/" not in source.read():
                remedy = ": the file must start with /dts-v1/;"
    return f"{file}:{line}: {what}{remedy}"


def _mention(source: str, include_dirs: list, name: str, depth: int = 0) -> str:
    """Where `name` stands in quotes: dtc does not say which line wanted the file it lacks."""
    with open(source, encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    for number, line in enumerate(lines, 1):
        if f'"{name}"' in line:
            return f"{source}:{number}"
    for included in re.findall(r'/include/\s*"(.*?)"', "\n".join(lines)):
        for folder in [os.path.dirname(source), *include_dirs]:
            path = os.path.join(folder, included)
            found = depth < 20 and os.path.isfile(path)
            found = found and _mention(path, include_dirs, name, depth + 1)
            if found:
                return found
    return ""


def _lines(stream):
    """The lines of a stream, long ones without their middle: a kernel is one line of 100 MB."""
    while head := stream.readline(LONGEST_LINE):
        tail = part = b"" if head.endswith(b"\n") else head
        while part and not part.endswith(b"\n"):
            part = stream.readline(LONGEST_LINE)
            tail = (tail + part)[-LONGEST_LINE:]
        yield head + tail


def _annotate(root: Node, lines) -> None:
    stack = []
    for raw in lines:
        content, where = _split_comment(raw)
        if content.endswith(b"{"):
            name = content[:-1].split(b":")[-1].strip().decode()
            stack.append(stack[-1].child(name) if stack else root)
            stack[-1].where = where
        elif content == b"};":
            stack.pop()
        elif stack and content.endswith(b";"):
            name, _, value = content[:-1].partition(b" = ")
            prop = stack[-1].props[name.split(b":")[-1].strip().decode()]
            prop.where, prop.kind = where, _kind(prop, value)


def _split_comment(raw: bytes) -> tuple:
    """A line of the annotated text, and the file:line of its (first) origin."""
    content, _, comment = raw.strip().rpartition(b" /* ")
    if not content:
        return raw.strip(), ""
    origin = re.match(rb"(.+?:\d+):\d+-\d+:\d+", comment)
    return content.strip(), origin[1].decode("utf-8", "surrogateescape") if origin else ""


def _kind(prop: Prop, value: bytes) -> str:
    if not prop.value:
        return "flag"
    if len(prop.value) > LONGEST_TEXT:
        return "bytes"
    outside = re.sub(rb'"(\\.|[^"\\])*"', b"S", value)
    found = {b"S": "strings", b"<": "cells", b"[": "bytes"}
    kinds = {kind for mark, kind in found.items() if mark in outside}
    if b"/bits/" in outside:
        return "bytes"
    return kinds.pop() if len(kinds) == 1 else "mixed"


def files_of(raw_path: str) -> list:
    """What the manifest is made of, by dtc's list (dtc 1.6 escapes nothing)."""
    with open(raw_path, encoding="utf-8", errors="surrogateescape") as file:
        words = file.read().partition(": ")[2].replace("\\ ", " ").strip().split(" ")
    files, pending = [], ""
    for word in words:
        pending = f"{pending} {word}" if pending else word
        if os.path.exists(pending):
            files.append(pending)
            pending = ""
    return files


def write_deps(files: list, target: str, out_path: str) -> None:
    """Rules for make."""
    names = [_make_word(name) for name in files]
    with open(out_path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(f"{_make_word(target)}: {' '.join(names)}\n")
        # As gcc's -MP: a file that was renamed must not stop make.
        file.writelines(f"\n{name}:\n" for name in names[1:])


def _make_word(path: str) -> str:
    return re.sub(r"([ #\\])", r"\\\1", os.path.normpath(path)).replace("$", "$$")
