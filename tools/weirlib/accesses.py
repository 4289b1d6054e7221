"""
How many barriers, TLB invalidations and GIC accesses the hypervisor executes on a measured path. Each costs one
instruction under icount and much more on hardware.

QEMU logs, in their order, those executed instructions that are asked for: of the hypervisor every one that is
counted, known by its encoding, and of the guests the places where a passage begins and ends. These carry
marks (tests/bench/mark.h), which are no instructions:

    from [ROW [END]]    a passage of ROW begins; it ends where END is marked, else ROW itself
    to [END]            passages end
    row                 those without a name, since the last such mark, are of the row that is printed next
"""

import re
import statistics
from typing import Iterable, NamedTuple

from . import elf

KINDS = ("dsb", "isb", "tlbi", "gic", "dmb")
MARKS = ".debug_bench_marks"
UNNAMED = "-"  # in place of a row's name

# DDI 0487 C4.1.94: system instructions. (mask, value)
ENCODINGS = {
    "dsb": [(0xFFFFF0FF, 0xD503309F)],
    "isb": [(0xFFFFF0FF, 0xD50330DF)],
    "dmb": [(0xFFFFF0FF, 0xD50330BF)],
    "tlbi": [(0xFFF8F000, 0xD5088000)],  # SYS with CRn 8
    # MRS and MSR of op0 3: CRn 12 with CRm from 8 on (ICC, ICH; IHI 0069 12), ICC_PMR_EL1.
    "gic": [(0xFFD8F800, 0xD518C800), (0xFFDFFFE0, 0xD5184600)],
}
# QEMU's own word of what it does for MMIO. Guests reach neither frame.
MMIO = re.compile(r"^(?:\S+ )?gicv3_(?:dist|redist)_(?:read|write) ")
TRACE = re.compile(r"^Trace \d+: (\S+) \[[0-9a-f]+/([0-9a-f]+)/")
TRANSLATED = re.compile(r"^0x([0-9a-f]+):\s+([0-9a-f]{8})\b")


def kind_of(word: int):
    """Which of KINDS an instruction is; None if it is none of them."""
    for kind, encodings in ENCODINGS.items():
        if any(word & mask == value for mask, value in encodings):
            return kind
    return None


class Places(NamedTuple):
    """What QEMU is to log."""

    counted: dict  # address -> one of KINDS
    marks: dict  # (address, instruction there) -> texts of its marks


def places(hypervisor: bytes, guests: Iterable) -> Places:
    """
    Guests have the same addresses; the instruction that stands at a mark tells them apart. Raises ValueError
    where it does not.
    """
    counted = {at: kind for at, word in elf.instructions(hypervisor) if (kind := kind_of(word))}
    programs = [(dict(elf.instructions(program)), elf.marks(program, MARKS))
                for program in (hypervisor, *guests)]
    own = []
    for words, marks in programs:
        own.append({})
        for address, text in marks:
            own[-1].setdefault((address, words[address]), []).append(text)
    every = {place: texts for marks in own for place, texts in marks.items()}
    for (words, _), marks in zip(programs, own):
        for (address, word), texts in every.items():
            if words.get(address) == word and marks.get((address, word)) != texts:
                raise ValueError(f"{address:x}: mark {texts[0]!r}: another guest has the same instruction there")
    return Places(counted, every)


def log_options(asked: Places, log: str) -> list:
    """QEMU's: one instruction a block, and of the blocks asked for each execution."""
    addresses = sorted({*asked.counted, *(address for address, _ in asked.marks)})
    traced = [f"trace:gicv3_{frame}_{way}" for frame in ("dist", "redist") for way in ("read", "write")]
    return ["-accel", "tcg,one-insn-per-tb=on", "-d", ",".join(["exec", "nochain", "in_asm", *traced]),
            "-dfilter", ",".join(f"{address:#x}+4" for address in addresses), "-D", log]


def executed(lines: Iterable, asked: Places):
    """What the log tells, in order: one of KINDS, or the list of a place's marks."""
    blocks, translated = {}, None
    for line in lines:
        if match := TRACE.match(line):
            block, address = match[1], int(match[2], 16)
            if translated and translated[0] == address:
                blocks[block] = translated[1]
            translated = None
            if texts := asked.marks.get((address, blocks.get(block))):
                yield texts
            if kind := asked.counted.get(address):
                yield kind
        elif match := TRANSLATED.match(line):
            translated = int(match[1], 16), int(match[2], 16)
        elif MMIO.match(line):
            yield "gic"


def passages(events: Iterable, printed: list) -> dict:
    """
    Row -> for each passage how many of each kind. `printed`: the rows in the order of printing. Raises
    ValueError if they are not as many as the marks say.
    """
    total, begun, found, names = dict.fromkeys(KINDS, 0), {}, {}, iter(printed)
    for event in events:
        if isinstance(event, str):
            total[event] += 1
            continue
        for which, name, end in map(words_of, event):
            if which == "from":
                begun[name] = end, dict(total)
            elif which == "row":
                found.setdefault(next(names, ""), []).extend(found.pop(UNNAMED, []))
            else:
                end_passages(begun, name, total, found)
    if next(names, None) or "" in found:
        raise ValueError("other rows are printed than are marked")
    return found


def end_passages(begun: dict, name: str, total: dict, found: dict) -> None:
    for row in [row for row, (end, _) in begun.items() if end == name]:
        _, before = begun.pop(row)
        found.setdefault(row, []).append({kind: total[kind] - before[kind] for kind in KINDS})


def words_of(mark: str) -> tuple:
    """Which mark, the row, and where it ends."""
    which, *names = mark.split() + [UNNAMED] * (len(mark.split()) == 1)
    return which, names[0], names[-1]


def each(passages_of_row: list, samples: int, calls: int) -> dict:
    """Of each kind how many a call executes; the first passages, beyond the samples, warm up."""
    last = passages_of_row[-samples:]
    return {kind: statistics.median(passage[kind] for passage in last) / calls for kind in KINDS}
