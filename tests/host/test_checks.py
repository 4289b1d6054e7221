"""The checks of code that is built (tools/check-*) fail on what they are there for, and on nothing else."""

import os
import importlib.machinery
import importlib.util
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def check_includes(root):
    return subprocess.run([ROOT / "tools/check-includes", root], capture_output=True, text=True)


def tree(root, files):
    """A project of the given files; each is what it includes, one a line."""
    for path, lines in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("".join(f"#include {line}\n" for line in lines))
    return root


GOOD = {
    "guests/include/weir/status.h": ["<stdint.h>"],
    "guests/include/weir/event.h": ["<weir/status.h>", "<stdbool.h>"],
    "core/base/types.h": ["<stdint.h>", "<weir/status.h>"],
    "arch/arm64/cpu.h": ['"core/base/types.h"'],
    "drivers/uart.h": ['"arch/arm64/cpu.h"', '"core/base/types.h"'],
    "core/vm.h": ['"drivers/uart.h"', '"arch/arm64/cpu.h"', "<weir/event.h>"],
    "core/tree.c": ['"core/vm.h"', "<libfdt.h>"],
    "ipc/event.c": ['"core/vm.h"', "<weir/event.h>", '"arch/arm64/lock.h"'],
    "arch/arm64/lock.h": [],
    "guests/lib/guest.h": ["<weir/event.h>", "<stdarg.h>"],
    "guests/hello.c": ["<weir/event.h>", '"guests/lib/guest.h"'],
    "tests/host/test_x.c": ["<string.h>", '"fake.h"', '"core/vm.h"'],
    "tests/host/fake/fake.h": [],
}


def test_the_project_keeps_its_own_table():
    result = check_includes(ROOT)
    assert result.returncode == 0, result.stderr


def test_the_layers_may_include_what_the_table_says(tmp_path):
    result = check_includes(tree(tmp_path, GOOD))
    assert result.returncode == 0 and not result.stderr, result.stderr


@pytest.mark.parametrize("path, include", [
    ("guests/include/weir/x.h", "<string.h>"),
    ("guests/include/weir/x.h", '"core/base/types.h"'),
    ("core/base/x.c", '"arch/arm64/cpu.h"'),
    ("core/base/x.c", "<weir/event.h>"),
    ("core/base/x.c", "<string.h>"),
    ("arch/arm64/x.c", '"core/vm.h"'),
    ("arch/arm64/x.S", '"core/vm.h"'),
    ("arch/arm64/x.c", "<weir/event.h>"),
    ("arch/arm64/x.c", '"drivers/uart.h"'),
    ("drivers/x.c", '"core/vm.h"'),
    ("drivers/x.c", "<libfdt.h>"),
    ("core/x.c", '"ipc/x.h"'),
    ("core/vdev/x.c", '"guests/lib/guest.h"'),
    ("ipc/x.c", '"arch/arm64/cpu.h"'),
    ("ipc/x.c", '"drivers/uart.h"'),
    ("guests/x.c", '"core/vm.h"'),
    ("guests/x.c", "<string.h>"),
    ("core/x.c", '"core/nothing.h"'),
    ("core/x.c", '"vm.h"'),
])
def test_each_forbidden_way_is_seen(tmp_path, path, include):
    root = tree(tmp_path, {**GOOD, "ipc/x.h": [], "core/other.h": [], path: [include]})
    result = check_includes(root)
    assert result.returncode == 1
    assert result.stderr.startswith(f"{path}:1: {include.strip(chr(34))}: "), result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_circle_of_headers_is_seen(tmp_path):
    root = tree(tmp_path, {**GOOD, "core/a.h": ['"core/b.h"'], "core/b.h": ['"core/c.h"'],
                           "core/c.h": ['"core/a.h"']})
    result = check_includes(root)
    assert result.returncode == 1
    assert "core/a.h -> core/b.h -> core/c.h -> core/a.h" in result.stderr


def test_a_header_that_includes_itself_is_seen(tmp_path):
    result = check_includes(tree(tmp_path, {**GOOD, "core/a.h": ['"core/a.h"']}))
    assert result.returncode == 1 and "core/a.h -> core/a.h" in result.stderr


def test_two_ways_to_a_header_are_no_circle(tmp_path):
    root = tree(tmp_path, {**GOOD, "core/a.h": ['"core/b.h"', '"core/c.h"'],
                           "core/b.h": ['"core/d.h"'], "core/c.h": ['"core/d.h"'], "core/d.h": []})
    assert check_includes(root).returncode == 0


def test_an_empty_folder_is_no_project(tmp_path):
    assert check_includes(tmp_path).returncode == 1


# ---- check-fp ----

PREFIX = os.environ.get("CROSS_COMPILE") or "aarch64-linux-gnu-"
cross = pytest.mark.skipif(not shutil.which(PREFIX + "gcc"), reason="no cross compiler")


def build(folder, assembly):
    """An object of functions: name -> instructions."""
    source = folder / "x.S"
    source.write_text(".arch armv8-a+fp+simd\n.text\n" + "".join(
        f".global {name}\n.type {name}, %function\n{name}:\n\t{text}\n\tret\n"
        for name, text in assembly.items()))
    subprocess.run([PREFIX + "gcc", "-c", source, "-o", folder / "x.o"], check=True)
    return folder / "x.o"


def check_fp(*words):
    return subprocess.run([ROOT / "tools/check-fp", "--prefix", PREFIX, *words],
                          capture_output=True, text=True)


@cross
@pytest.mark.parametrize("instruction", [
    "fmov d0, x1", "ldr q3, [x0]", "stp d8, d9, [sp]", "movi v0.16b, #0", "mrs x0, fpcr",
    "msr fpsr, x0", "add v1.4s, v2.4s, v3.4s", "ldr b0, [x0]", "ldr h31, [x0]", "fcmp s1, #0.0",
    "umov w0, v1.b[3]",
])
def test_fp_instructions_are_seen(tmp_path, instruction):
    result = check_fp(build(tmp_path, {"f": instruction}))
    assert result.returncode == 1
    assert ": f: " in result.stderr


@cross
def test_other_instructions_are_not(tmp_path):
    code = "\n\t".join([
        "mov x0, #0xd0", "bl d0", "b.eq f", "msr daifset, #2", "mrs x0, s3_0_c12_c12_0",
        "ldr x1, [x2, #0xb0]", "dmb ish", "bti c",
        "mov x10, x11", "ldp x16, x17, [sp, #0x10]", "add w19, w20, w1, lsl #12",
    ])
    result = check_fp(build(tmp_path, {"d0": "nop", "f": code}))
    assert result.returncode == 0 and not result.stderr, result.stderr


@cross
@pytest.mark.parametrize("instruction", ["mov x8, x18", "add w12, w0, w1", "ldp x14, x15, [sp]",
                                         "stxr w13, x0, [x1]", "ldr x0, [x1, x12, lsl #3]"])
def test_registers_that_an_exit_does_not_save_are_seen(tmp_path, instruction):
    result = check_fp(build(tmp_path, {"change": instruction, "f": instruction}))
    assert result.returncode == 1
    assert ": f: " in result.stderr and ": change: " not in result.stderr


@cross
@pytest.mark.parametrize("instruction, status", [("bl f", 1), ("blr x3", 1), ("b f", 1), ("b trap_send", 0),
                                                 ("b.eq trap_send", 0)])
def test_a_send_calls_nothing(tmp_path, instruction, status):
    result = check_fp(build(tmp_path, {"trap_send": instruction, "f": "bl trap_send"}))
    assert result.returncode == status, result.stderr


@cross
@pytest.mark.parametrize("instructions, status", [("br x3", 1), ("bti j\n\tbr x3", 0), ("blr x3", 0)])
def test_a_table_of_jumps_needs_landing_pads(tmp_path, instructions, status):
    result = check_fp(build(tmp_path, {"trap_sync": instructions}))
    assert result.returncode == status, result.stderr


@cross
def test_only_the_switch_and_the_library_may(tmp_path):
    thing = build(tmp_path, {"fp_save": "str q0, [x0]", "fp_load": "ldr q0, [x0]",
                             "fdt_setprop": "movi v0.4s, #0"})
    assert check_fp(thing).returncode == 1
    folder = tmp_path / "library"
    folder.mkdir()
    build(folder, {"fdt_setprop": "movi v0.4s, #0"})
    subprocess.run([PREFIX + "ar", "rcs", folder / "libfdt.a", folder / "x.o"], check=True)
    result = check_fp(thing, "--library", folder / "libfdt.a")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("code, status", [("at s1e1r, x0", 1), ("at s1e0w, x0", 1), ("at s12e1r, x0", 1),
                                          ("at s12e0w, x0", 1), ("at s1e2r, x0", 0)])
def test_translations_by_a_guest_s_registers_are_seen(tmp_path, code, status):
    result = check_fp(build(tmp_path, {"f": code}))
    assert result.returncode == status and (": f: " in result.stderr) == bool(status)


@cross
@pytest.mark.parametrize("code, status", [
    ("br x3", 1), ("blr x16", 1), ("bl f", 0), ("nop", 0), ("bti c\n\tbr x3\n\tbti j", 0),
])
def test_a_library_without_landing_pads_jumps_to_no_register(tmp_path, code, status):
    thing = build(tmp_path, {"f": "blr x1", "fdt_next_tag": code})
    folder = tmp_path / "library"
    folder.mkdir()
    build(folder, {"fdt_next_tag": code})
    subprocess.run([PREFIX + "ar", "rcs", folder / "libfdt.a", folder / "x.o"], check=True)
    result = check_fp(thing, "--library", folder / "libfdt.a")
    assert result.returncode == status and (": fdt_next_tag: " in result.stderr) == bool(status)


@cross
def test_a_file_without_code_is_an_error(tmp_path):
    (tmp_path / "x.S").write_text(".data\n.word 1\n")
    subprocess.run([PREFIX + "gcc", "-c", tmp_path / "x.S", "-o", tmp_path / "x.o"], check=True)
    assert check_fp(tmp_path / "x.o").returncode != 0
    assert check_fp(tmp_path / "missing.o").returncode != 0


# ---- check-order ----

# Everything in the headers for guests that is labelled.
GUEST = """
#include <weir/block.h>
#include <weir/event.h>
#include <weir/ring.h>
bool write(struct weir_ring_producer *r) { weir_ring_arm_write(r, 8); return weir_ring_publish(r); }
bool read(struct weir_ring_consumer *r) { weir_ring_arm_read(r); return weir_ring_release(r); }
int confirm(struct weir_ring_consumer *r) { return weir_ring_confirm(r); }
bool event(struct weir_pages *p, uint32_t *port) { return weir_event_next(p, port); }
bool block(struct weir_pages *p, struct weir_completion *c) { return weir_block_next(p, c); }
"""
RELEASES, ACQUIRES = {"P4", "C3", "R3", "Q2"}, {"P3", "C4", "R2", "Q1"}
FENCES = {"P1", "P2", "C1", "C2", "R1"}
PROMISES = {**dict.fromkeys(RELEASES, "stlr"), **dict.fromkeys(ACQUIRES, "ldar"),
            **dict.fromkeys(FENCES, "dmb ish"), "C5": "dmb ishld"}


def program(folder, source, *flags, level="-O2"):
    (folder / "x.c").write_text(source)
    subprocess.run([PREFIX + "gcc", level, "-ffreestanding", "-nostdlib", "-static", "-Wl,-e,0", "-w",
                    "-DWEIR_ORDER_MARKS", "-I", ROOT / "guests/include", *flags, folder / "x.c", "-o",
                    folder / "x.elf"], check=True)
    return folder / "x.elf"


def check_order(folder, elf, promises):
    """On a project that has only these labels."""
    (folder / "table").write_text("".join(f"| [{label}] | where | `{promise}` | | |\n"
                                          for label, promise in promises.items()))
    return subprocess.run([ROOT / "tools/check-order", elf, "--root", folder, "--table", folder / "table",
                           "--objdump", PREFIX + "objdump"], capture_output=True, text=True)


@cross
@pytest.mark.parametrize("level", ["-O0", "-Os", "-O2", "-O3"])
def test_what_the_headers_promise_is_there(tmp_path, level):
    result = check_order(tmp_path, program(tmp_path, GUEST, level=level), PROMISES)
    assert result.returncode == 0 and not result.stderr, result.stderr


@cross
@pytest.mark.parametrize("weaker, labels", [
    ("RELEASE", RELEASES), ("ACQUIRE", ACQUIRES | {"C5"}), ("SEQ_CST", FENCES),
])
def test_a_barrier_that_is_weaker_is_seen(tmp_path, weaker, labels):
    flags = [f"-U__ATOMIC_{weaker}", f"-D__ATOMIC_{weaker}=__ATOMIC_RELAXED"]
    result = check_order(tmp_path, program(tmp_path, GUEST, *flags), PROMISES)
    assert result.returncode == 1
    told = {line.split("[")[1][:2] for line in result.stderr.splitlines()}
    assert told == labels, result.stderr


ONE = """
#include <weir/order.h>
void _start(int *a) { WEIR_ORDERED(A1, %s, %s); }
"""
RELEASE = "__atomic_store_n(a, 1, __ATOMIC_RELEASE)"


@cross
@pytest.mark.parametrize("promise, statement, promised, status", [
    ("stlr", RELEASE, "stlr", 0),
    ("stlr", "*a = 1", "stlr", 1),
    ("stlr", "", "stlr", 1),
    ("stlr", RELEASE, "ldar", 1),  # not what the table says
    ("dmb ish", "__atomic_thread_fence(__ATOMIC_SEQ_CST)", "dmb ish", 0),
    ("dmb ish", "__atomic_thread_fence(__ATOMIC_ACQUIRE)", "dmb ish", 1),  # dmb ishld
    ("stlr", "__atomic_store_n((char *)a, 1, __ATOMIC_RELEASE)", "stlr", 0),  # stlrb
    ("stlxr", "__atomic_fetch_or(a, 1, __ATOMIC_RELEASE)", "stlxr", 0),
    ("stlxr", "__atomic_fetch_or(a, 1, __ATOMIC_ACQUIRE)", "stlxr", 1),
])
def test_the_instruction_is_looked_for_between_the_marks(tmp_path, promise, statement, promised, status):
    elf = program(tmp_path, ONE % (promise, statement), "-mno-outline-atomics")
    result = check_order(tmp_path, elf, {"A1": promised})
    assert result.returncode == status, result.stderr


@cross
def test_a_barrier_beside_the_place_does_not_count(tmp_path):
    elf = program(tmp_path, ONE % ("stlr", f"*a = 1); {RELEASE}; (void)(a"))
    assert check_order(tmp_path, elf, {"A1": "stlr"}).returncode == 1


@cross
def test_labels_without_a_mark_or_a_row_are_seen(tmp_path):
    elf = program(tmp_path, ONE % ("stlr", RELEASE))
    result = check_order(tmp_path, elf, {"A1": "stlr", "A2": "ldar"})
    assert result.returncode == 1 and "[A2]: in the table, but no program" in result.stderr
    (tmp_path / "core").mkdir()
    (tmp_path / "core/x.c").write_text("/*\n * [A1] one. Pairs with [A8]. */\n/* [A9] another. */\n")
    result = check_order(tmp_path, elf, {"A1": "stlr"})
    assert result.returncode == 1
    assert result.stderr == "core/x.c: [A9]: is not in the table\n"


@cross
def test_a_program_without_marks_is_seen(tmp_path):
    elf = program(tmp_path, ONE % ("stlr", RELEASE), "-UWEIR_ORDER_MARKS")
    result = check_order(tmp_path, elf, {"A1": "stlr"})
    assert result.returncode == 1 and "has no marks" in result.stderr


# ---- check-paths ----


@pytest.fixture(scope="module")
def paths():
    """The tool as a module."""
    loader = importlib.machinery.SourceFileLoader("check_paths", str(ROOT / "tools/check-paths"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_paths", loader))
    sys.path.insert(0, str(ROOT / "tools"))
    loader.exec_module(module)
    sys.path.pop(0)
    return module


def check_paths(folder, code):
    text = "early_tables: ret\n" + "".join(f"{name}:\n" + "".join(f"\t{line}\n" for line in lines)
                                          for name, lines in code.items())
    (folder / "x.S").write_text(text)
    subprocess.run([PREFIX + "gcc", "-nostdlib", "-static", "-Wl,-e,0", folder / "x.S", "-o", folder / "x.elf"],
                   check=True)
    return subprocess.run([ROOT / "tools/check-paths", folder / "x.elf", "--objdump", PREFIX + "objdump"],
                          capture_output=True, text=True)


@cross
def test_paths_as_they_should_be_are_passed_with_other_instructions_between(tmp_path, paths):
    code = {name: [line for one in lines for line in ("add x9, x9, #1", one)] for name, lines in paths.PATHS.items()}
    result = check_paths(tmp_path, code)
    assert result.returncode == 0 and not result.stderr, result.stderr


@cross
def test_a_path_that_is_wrong_is_one_line(tmp_path, paths):
    code = {name: [line for line in lines if line != "dsb nsh"] for name, lines in paths.PATHS.items()}
    result = check_paths(tmp_path, code)
    assert result.returncode == 1
    assert result.stderr == f"{tmp_path}/x.elf: mmu_on: expected dsb nsh as number 8, found isb\n"
    code = {name: lines for name, lines in paths.PATHS.items() if name != "serror_window"}
    assert "x.elf: serror_window: expected hint #16" in check_paths(tmp_path, code).stderr


def test_each_instruction_that_is_missing_or_elsewhere_or_too_much_is_seen(paths):
    for path in paths.PATHS.values():
        assert not paths.differs(["nop", *path, "nop"], path)
        for at, line in enumerate(path):
            assert paths.differs(path[:at] + path[at + 1:], path)
            assert paths.differs([*path[:at], "dsb ish", *path[at:]], path)
            if path[at + 1:at + 2] not in ([], [line]):
                assert paths.differs([*path[:at], path[at + 1], line, *path[at + 2:]], path)
# ---- check-exclusives ----

def check_exclusives(folder, files, *flags):
    """On a program of these files, linked at an address of its own."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    subprocess.run([PREFIX + "gcc", "-O2", "-g", "-ffreestanding", "-nostdlib", "-static", "-Wl,-e,0", "-I.",
                    *flags, *(path for path in files if path.endswith(".c")), "-o", "x.elf"], cwd=folder, check=True)
    result = subprocess.run([ROOT / "tools/check-exclusives", folder / "x.elf", "--prefix", PREFIX],
                            capture_output=True, text=True)
    return result.returncode, [line for line in result.stderr.splitlines() if "but in no program" not in line]


LOCK = """
static inline void spin_lock(unsigned *lock) { while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE)) ; }
"""
LOCKS = {"arch/arm64/lock.h": LOCK,
         "core/y.c": '#include "arch/arm64/lock.h"\nunsigned y; void _start(void) { spin_lock(&y); }\n'}


@cross
@pytest.mark.parametrize("flags", [["-mno-outline-atomics"], ["-march=armv8.1-a"]])
@pytest.mark.parametrize("statement", [
    "__atomic_fetch_add(word, 1, __ATOMIC_RELAXED)", "__atomic_fetch_or(word, 1, __ATOMIC_RELEASE)",
    "__atomic_exchange_n(word, 1, __ATOMIC_ACQ_REL)", "__atomic_fetch_and((char *)word, 1, __ATOMIC_SEQ_CST)",
    "__atomic_compare_exchange_n(word, word + 1, 2, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)",
])
def test_an_atomic_that_the_table_does_not_have_is_seen(tmp_path, statement, flags):
    files = {**LOCKS, "ipc/z.c": f"long z(long *word);\nlong z(long *word) {{ return {statement}; }}\n"}
    status, lines = check_exclusives(tmp_path, files, *flags)
    assert status == 1 and len(lines) == 1 and ": ipc/z.c: z: " in lines[0]


@cross
def test_locks_inlined_anywhere_and_loads_and_stores_are_none(tmp_path):
    code = "__atomic_store_n(a, __atomic_load_n(a, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE)"
    files = {**LOCKS, "ipc/z.c": f"void z(long *a);\nvoid z(long *a) {{ {code}; }}\n"}
    assert check_exclusives(tmp_path, files, "-mno-outline-atomics")[1] == []


@cross
def test_a_row_that_nothing_stands_for_is_seen(tmp_path):
    status, _ = check_exclusives(tmp_path, LOCKS, "-mno-outline-atomics")
    assert status == 1  # the rest of the table


@cross
@pytest.mark.parametrize("statement, fine", [
    ("__atomic_load_n(&in->event_head[0], __ATOMIC_ACQUIRE)", True),
    ("__atomic_fetch_add(&in->event_head[0], 0, __ATOMIC_RELAXED)", False),
    ("__atomic_fetch_or(&in->completion_head, 0, __ATOMIC_RELAXED)", False),
    ("__atomic_exchange_n(&in->upcall_reply[0], 0, __ATOMIC_RELAXED)", False),
    ("in->event_head[0] = 0", False),
])
def test_the_page_that_a_guest_writes_takes_no_atomic_but_a_load(tmp_path, statement, fine):
    (tmp_path / "x.c").write_text("#include <weir/abi.h>\nunsigned long f(const struct weir_in *in);\n"
                                  "unsigned long f(const struct weir_in *in) { return " + statement + "; }\n")
    result = subprocess.run([PREFIX + "gcc", "-ffreestanding", "-c", "-Werror", "-I", ROOT / "guests/include", tmp_path / "x.c",
                             "-o", tmp_path / "x.o"], capture_output=True, text=True)
    assert (result.returncode == 0) == fine, result.stderr
    header = (ROOT / "ipc/ipc.h").read_text()
    assert "const struct weir_in *in;" in header  # which is all that EL2 has of it


def test_nothing_takes_the_const_away():
    """But ipc.c, which makes and zeroes the pages while no vCPU of the VM runs."""
    for path in sorted((ROOT / "ipc").glob("*.c")):
        if path.name != "ipc.c":
            assert not re.search(r"\((?:struct weir_in|u8|u64|void|uintptr_t)[ *]*\)[^;]*->(?:in|shared_head)\b(?!->)", path.read_text())


# ---- All of them ----


@cross
@pytest.mark.parametrize("tool", ["check-exclusives", "check-fp", "check-includes", "check-order", "check-paths",
                                  "check-sizes"])
@pytest.mark.parametrize("name", ["not-there", "text", "folder"])
def test_what_cannot_be_checked_is_one_line(tmp_path, tool, name):
    (tmp_path / "text").write_text("no program\n")
    (tmp_path / "folder").mkdir()
    done = subprocess.run([ROOT / "tools" / tool, tmp_path / name], cwd=ROOT, capture_output=True, text=True)
    line, = done.stderr.splitlines()
    assert done.returncode == 1 and name in line and done.stdout == ""


@pytest.mark.parametrize("words", [["check-fp", "x", "--prefix=none-"], ["check-exclusives", "x", "--prefix=none-"],
                                   ["check-paths", "x", "--objdump=none-objdump"]], ids=lambda words: words[0])
def test_so_is_a_program_that_is_not_there(tmp_path, words):
    done = subprocess.run([ROOT / "tools" / words[0], *words[1:]], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "none-objdump: No such file or directory\n")
