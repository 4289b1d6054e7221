"""How tools/bench counts barriers and accesses: what QEMU's log says of marked passages."""

import pathlib
import struct
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from weirlib import accesses, elf  # noqa: E402
sys.path.pop(0)

NOP, DSB, ISB, TLBI, DMB = 0xD503201F, 0xD5033F9F, 0xD5033FDF, 0xD50C8323, 0xD5033BBF
READ_IAR = 0xD538CC00
WEIR = 0xFF8000000000


def program_of(text, marks=()):
    """A 64-bit ELF: `text` is address -> words, a section each, `marks` are (address, text)."""
    body = {".debug_bench_marks": (0, b"".join(struct.pack("<Q", at) + words.encode() + b"\0"
                                               for at, words in marks))}
    for number, (address, words) in enumerate(text.items()):
        body[".text" + f".{number}" * bool(number)] = address, struct.pack(f"<{len(words)}I", *words)
    names = b"\0" + b"".join(name.encode() + b"\0" for name in [*body, ".shstrtab"])
    body[".shstrtab"] = 0, names
    data, headers = bytearray(64), []
    for name, (address, content) in body.items():
        headers.append(struct.pack("<IIQQQQ", names.index(name.encode() + b"\0"), 1, 0, address, len(data),
                                   len(content)).ljust(64, b"\0"))
        data += content
    struct.pack_into("<Q", data, 0x28, len(data))
    struct.pack_into("<HHH", data, 0x3A, 64, len(body), len(body) - 1)
    return bytes(data + b"".join(headers))


def executing(address, word, block=None):
    """QEMU's log of an instruction that is translated and executed."""
    return f"----------------\nIN: \n0x{address:x}:  {word:08x}  what it is\n\n" + again(address, block)


def again(address, block=None):
    return f"Trace 0: 0x{block or address:x} [00000000/{address:016x}/00000061/ff022201] \n"


def rows_of(log, asked, *printed):
    return accesses.passages(accesses.executed(log.splitlines(True), asked), list(printed))


def counts(**kinds):
    return {**dict.fromkeys(accesses.KINDS, 0), **kinds}


# ---- Programs


def test_text_is_all_code_and_nothing_else():
    image = program_of({0: [NOP] * 1024, 8192: [NOP] * 128}, [(0, "row")])
    assert sum(section.size for section in elf.text(image)) == 4608
    assert list(elf.instructions(program_of({16: [NOP, DSB]}))) == [(16, NOP), (20, DSB)]


def test_what_the_linker_left_out_has_no_mark():
    assert list(elf.marks(program_of({16: [NOP]}, [(0, "row"), (16, "to x")]), accesses.MARKS)) == [(16, "to x")]


INSTRUCTIONS = {
    "dsb": ["dsb sy", "dsb ish", "dsb nshst", "dsb ishld"],
    "isb": ["isb"],
    "dmb": ["dmb sy", "dmb ish", "dmb ishld"],
    "tlbi": ["tlbi alle1is", "tlbi ipas2e1is, x3", "tlbi vae2, x0", "tlbi vmalls12e1"],
    "gic": ["mrs x0, s3_0_c12_c12_0", "msr s3_0_c12_c12_1, x3", "msr s3_0_c12_c11_5, x9",
            "mrs x1, s3_4_c12_c12_7", "msr s3_4_c12_c11_0, x1", "msr s3_4_c12_c9_5, x1", "msr s3_0_c4_c6_0, x2",
            "mrs x30, s3_0_c12_c8_3"],
    None: ["nop", "yield", "wfi", "eret", "mrs x0, cntvct_el0", "msr vbar_el2, x0", "msr hcr_el2, x1", "mrs x0, isr_el1",
           "dc civac, x0", "ic iallu", "at s12e1r, x0", "msr tpidr_el2, x0", "ldr x0, [x1]", "stlr x0, [x1]",
           "msr daifset, #2", "msr ttbr0_el1, x0", "mrs x0, s3_0_c4_c6_1"],
}


def test_instructions_are_known_by_their_encoding(tmp_path):
    """The assembler says which word is which instruction."""
    lines = [line for kind in INSTRUCTIONS for line in INSTRUCTIONS[kind]]
    (tmp_path / "a.s").write_text("\n".join([*lines, ""]))
    for words in (["as", "-o", "a.o", "a.s"], ["objcopy", "-O", "binary", "a.o", "a.bin"]):
        subprocess.run(["aarch64-linux-gnu-" + words[0], *words[1:]], cwd=tmp_path, check=True)
    words = struct.unpack(f"<{len(lines)}I", (tmp_path / "a.bin").read_bytes())
    told = dict(zip(lines, map(accesses.kind_of, words)))
    assert told == {line: kind for kind in INSTRUCTIONS for line in INSTRUCTIONS[kind]}


# ---- Logs

HYPERVISOR = program_of({WEIR: [DSB, NOP, TLBI, READ_IAR, ISB, DMB]})
GUEST = program_of({0x1000: [NOP, NOP]}, [(0x1000, "from a"), (0x1004, "to a")])


def test_only_what_is_asked_for_is_logged():
    asked = accesses.places(HYPERVISOR, [GUEST])
    options = accesses.log_options(asked, "file")
    addresses = options[options.index("-dfilter") + 1].split(",")
    assert addresses == ["0x1000+4", "0x1004+4"] + [f"{WEIR + at:#x}+4" for at in (0, 8, 12, 16, 20)]


def test_a_passage_has_what_is_executed_between_its_marks():
    asked = accesses.places(HYPERVISOR, [GUEST])
    log = executing(WEIR, DSB) + executing(0x1000, NOP) + again(WEIR) + executing(WEIR + 8, TLBI) + \
        executing(WEIR + 12, READ_IAR) + "gicv3_dist_write GICv3 distributor write: offset 0x80\n" + \
        executing(0x1004, NOP) + again(WEIR) + again(0x1000) + again(0x1004)
    assert rows_of(log, asked) == {"a": [counts(dsb=1, tlbi=1, gic=2), counts()]}


def test_a_guest_s_own_barriers_do_not_count():
    guest = program_of({0x1000: [NOP, DSB, NOP]}, [(0x1000, "from a"), (0x1008, "to a")])
    asked = accesses.places(HYPERVISOR, [guest])
    assert rows_of(executing(0x1000, NOP) + executing(0x1004, DSB) + executing(0x1008, NOP), asked) == \
        {"a": [counts()]}


def test_guests_at_the_same_address_are_told_apart_by_the_instruction():
    asked = accesses.places(HYPERVISOR, [GUEST, program_of({0x1000: [DSB]})])
    log = executing(0x1000, NOP, 1) + executing(0x1000, DSB, 2) + executing(WEIR, DSB) + again(0x1000, 2) + \
        executing(0x1004, NOP)
    assert rows_of(log, asked) == {"a": [counts(dsb=1)]}


@pytest.mark.parametrize("marks", [[], [(0x1000, "to b")]])
def test_guests_that_cannot_be_told_apart_are_refused(marks):
    with pytest.raises(ValueError, match="1000: mark '.*': another guest has the same instruction there"):
        accesses.places(HYPERVISOR, [GUEST, program_of({0x1000: [NOP]}, marks)])
    accesses.places(HYPERVISOR, [GUEST, GUEST])


def marks_of(*texts):
    """A log in which these marks are passed, a DSB between each, and what is found."""
    guest = program_of({0x1000: [NOP] * len(texts)}, [(0x1000 + 4 * i, text) for i, text in enumerate(texts)])
    asked = accesses.places(HYPERVISOR, [guest])
    return executing(WEIR, DSB).join(executing(0x1000 + 4 * i, NOP) for i in range(len(texts))), asked


def test_passages_overlap_and_may_end_where_others_do():
    log, asked = marks_of("from a", "from b vector", "to vector", "to a", "to vector", "to a")
    assert rows_of(log, asked) == {"a": [counts(dsb=3)], "b": [counts(dsb=1)]}


def test_a_passage_that_begins_anew_did_not_end():
    log, asked = marks_of("from a", "from a", "to a")
    assert rows_of(log, asked) == {"a": [counts(dsb=1)]}


def test_passages_without_a_name_are_of_the_row_that_is_printed_next():
    log, asked = marks_of("from", "to", "row", "row", "from", "to", "from", "to", "row")
    assert rows_of(log, asked, "x", "y", "z") == {"x": [counts(dsb=1)], "y": [], "z": [counts(dsb=1)] * 2}


@pytest.mark.parametrize("printed", [[], ["x", "y"]])
def test_other_rows_than_are_marked_are_refused(printed):
    log, asked = marks_of("from", "to", "row")
    with pytest.raises(ValueError, match="other rows are printed"):
        rows_of(log, asked, *printed)


def test_a_call_has_the_median_over_the_calls_and_none_that_warms_up():
    passages = [counts(dsb=9)] * 3 + [counts(dsb=4), counts(dsb=2), counts(dsb=2)]
    assert accesses.each(passages, 3, 4) == counts(dsb=0.5)
