"""tools/bench: what the machine prints becomes figures; what is missing is an error."""

import importlib.machinery
import importlib.util
import json
import pathlib
import subprocess
import sys

import pytest

from test_accesses import DSB, NOP, executing, program_of

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "bench"


def load():
    sys.path.insert(0, str(TOOL.parent))
    try:
        loader = importlib.machinery.SourceFileLoader("weir_bench", str(TOOL))
        spec = importlib.util.spec_from_loader(loader.name, loader)
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(TOOL.parent))


bench = load()
limits = bench.limits

PEERS = {"method": "m", "unit": "instructions",
         "peers": {"native": {"sgi.self": 4}, "bao 2.0": {"hypercall.null": 156},
                   "xen 4.17": {"hypercall.null": 422}}}
HELD = {"goals": {"image.text_bytes": 5000, "el2.longest_path": 5000},
        "limits": {"hypercall.null": 100, "sgi.self": 3, "el2.longest_path.wfi": 6000}}

# A machine that prints what a boot of the image would; QEMU's options are its arguments.
MACHINE = """\
#!/usr/bin/python3
import os, sys
if "--version" in sys.argv:
    sys.exit()
traced = "-D" in sys.argv
if traced:
    with open(sys.argv[sys.argv.index("-D") + 1], "w") as trace:
        trace.write({trace!r})
name = os.path.basename(sys.argv[sys.argv.index("-initrd") + 1])[:-4]
lines = {lines!r}[name]
with open(__file__ + ".runs", "a+") as file:
    file.write("" if traced else "x")
    run = file.tell() or 1
print("\\n".join(line.replace("@RUN@", str(run)) for line in lines))
sys.exit({status})
"""
END = ["weir: all VMs are off, powering off"]


# A guest whose first instruction has the marks of two passages and of their row.
MARKED = program_of({0x40080000: [NOP, NOP]},
                    [(0x40080000, "to ipi.cross_core"), (0x40080000, "from ipi.cross_core"), (0x40080004, "row")])
TRACED = (executing(0x40080000, NOP) + executing(0xFF0000000000, DSB)) * 2 + executing(0x40080004, NOP)


def program(tmp_path, lines, status=0):
    """A build folder with images of these names, and a machine that prints these lines."""
    images = tmp_path / "tests" / "bench"
    images.mkdir(parents=True)
    for name in lines:
        (images / f"{name}.dtb").write_bytes(b"")
        (images / f"{name}.elf").write_bytes(MARKED)
    (tmp_path / "weir.elf").write_bytes(program_of({0xFF0000000000: [DSB]}))
    (tmp_path / "weir.bin").write_bytes(b"")
    (tmp_path / "bench.bin").write_bytes(b"")
    (tmp_path / "peers.json").write_text(json.dumps(PEERS))
    (tmp_path / "limits.json").write_text(json.dumps(HELD))
    machine = tmp_path / "machine"
    machine.write_text(MACHINE.format(lines=lines, status=status, trace=TRACED))
    machine.chmod(0o755)
    return machine


def call(tmp_path, machine, *words):
    return subprocess.run(
        [TOOL, "--build", tmp_path, "--weir-bench", tmp_path / "bench.bin", "--qemu", machine,
         "--peers", tmp_path / "peers.json", "--limits", tmp_path / "limits.json", *words],
        capture_output=True, text=True, check=False)


# ---- Parsing


def test_a_row_is_ticks_over_calls():
    report = bench.parse_report(["[bench] row hypercall.null 1000 96000 97000",
                                 "[bench] row hypercall.null 1000 98000"])
    assert report.samples == {"hypercall.null": [96, 97, 98]}


def test_a_number_may_be_hexadecimal():
    report = bench.parse_report(["[bench] row boot.first_guest_instruction 1 0x00ff"])
    assert report.samples == {"boot.first_guest_instruction": [255]}


def test_passages_are_paired_in_order_whoever_reports_first():
    report = bench.parse_report(["[b] to vm.switch 110 230", "[a] from vm.switch 100 200",
                                 "[b] to vm.switch 350", "[a] from vm.switch 300"])
    assert report.samples == {"vm.switch": [10, 30, 50]}


@pytest.mark.parametrize("lines, expected", [
    (["[a] from x 1 2", "[b] to x 5"], "2 passages begin and 1 end"),
    (["[a] from x 1 2"], "2 passages begin and 0 end"),
    (["[b] to x 5"], "did not begin"),
    (["[a] from x 9", "[b] to x 5"], "cannot be"),
    (["[a] row x 1 0"], "cannot be"),
])
def test_ends_that_do_not_fit_are_refused(lines, expected):
    with pytest.raises(ValueError, match=expected):
        bench.parse_report(lines)


def test_weir_s_own_lines_tell_memory_and_longest_paths():
    report = bench.parse_report([
        "weir: 1 VMs on 1 cores, GICv3, 292 KiB for the hypervisor",
        "weir: longest mmio 2675 ticks of 447, detail 9000000"])
    assert report.hypervisor_bytes == 292 * 1024
    assert report.longest == {"mmio": (2675, 447, "9000000")}


def test_other_lines_are_not_figures():
    report = bench.parse_report(["", "weir: reader: 12 %", "[v] rows of x", "[v] from here"])
    assert report == ({}, {}, {}, 0)


# ---- Rows


def test_a_row_has_median_and_bounds():
    assert bench.row("x", "instructions", [3, 1, 2.04, 9]) == {
        "name": "x", "unit": "instructions", "figure": 2.5, "is": "median", "min": 1, "max": 9, "samples": 4}


def test_whole_figures_are_written_as_whole_numbers():
    assert json.dumps(bench.row("x", "bytes", [2.0])["figure"]) == "2"


def test_a_row_that_was_not_printed_is_an_error():
    image = bench.Image("calls", {"a": "a", "b": "c"})
    with pytest.raises(ValueError, match="no b$"):
        bench.rows_of(image, bench.parse_report(["[v] row a 1 5"]))


def test_rows_are_reported_under_the_image_s_name_for_them():
    image = bench.Image("event_same", {"event.cross_core": "event.same_core"})
    rows = bench.rows_of(image, bench.parse_report(["[v] row event.cross_core 1 5"]))
    assert [entry["name"] for entry in rows] == ["event.same_core"]


def longest(**classes):
    return bench.parse_report([f"weir: longest {name} {ticks} ticks of 2, detail ab"
                               for name, ticks in classes.items()])


def test_the_longest_path_is_the_maximum_over_all_images_with_entry_and_return():
    every = {name: 10 for name in bench.ENTRY}
    rows = bench.longest_rows([longest(**every), longest(**every), longest(mmio=70)])
    found = {entry["name"]: entry for entry in rows}
    assert found["el2.longest_path.mmio"]["figure"] == 70 + bench.ENTRY["mmio"]
    assert found["el2.longest_path.mmio"]["detail"] == "ab"
    assert found["el2.longest_path.wfi"]["max"] == 10 + bench.ENTRY["wfi"]
    assert len(rows) == len(bench.ENTRY)


def test_a_class_of_exit_that_never_came_is_an_error():
    with pytest.raises(ValueError, match="el2.longest_path.psci: there was no such exit"):
        bench.longest_rows([longest(hypercall=5)])


# ---- The table and the limits


def table_of(*rows):
    return bench.table({"rows": list(rows)}, HELD, PEERS).splitlines()


def instructions(name, *samples):
    return bench.row(name, "instructions", samples)


def test_the_table_has_limit_and_best_peer_and_says_who_is_better():
    lines = table_of(instructions("hypercall.null", 96, 96), instructions("sgi.self", 1, 2, 3),
                     instructions("el2.longest_path.wfi", 5000))
    assert lines[1].split() == ["hypercall.null", "96", "100", "156", "bao", "2.0;", "beaten"]
    assert lines[2].split() == ["sgi.self", "2", "1..3", "3", "4"]
    assert lines[3].endswith("goal under 5000: missed")
    assert "156  bao 2.0; not beaten" in table_of(instructions("hypercall.null", 156))[1]


@pytest.mark.parametrize("name, figure, wrong", [
    ("hypercall.null", 100, ""),
    ("hypercall.null", 101, "beyond its limit"),
    ("hypercall.null", 156, "beyond its limit, does not beat every peer"),
    ("sgi.self", 3, ""),
    ("vm.switch", 3, "no limit"),
    ("el2.longest_path.wfi", 4999, ""),
    ("el2.longest_path.wfi", 5000, "misses its goal"),
    ("el2.longest_path.wfi", 6001, "beyond its limit, misses its goal"),
])
def test_a_row_keeps_its_limit_its_goal_and_below_every_peer(name, figure, wrong):
    assert limits.judge_row(name, figure, HELD, PEERS).wrong == wrong


def test_a_peer_of_a_row_with_a_goal_is_told_and_not_asked_for():
    peers = {"peers": {"bao 2.0": {"el2.longest_path.wfi": 7}}}
    verdict = limits.judge_row("el2.longest_path.wfi", 10, HELD, peers)
    assert verdict.wrong == "" and "does not beat bao 2.0: 7" in verdict.says


def test_what_is_not_measured_is_missed():
    verdicts = limits.judge([instructions("sgi.self", 3)], HELD, PEERS)
    assert [verdict.wrong for verdict in verdicts] == ["", "there is no such row",
                                                       "there is no such row"]
    peers = {"peers": {"native": {"x": 1}, "bao 2.0": {"y": 1}}}
    verdicts = limits.judge([], {"goals": {}, "limits": {}}, peers)
    assert [verdict.name for verdict in verdicts] == ["y"]


def test_new_limits_are_two_percent_above_and_goals_stay():
    made = limits.made_of([instructions("a", 100), instructions("b", 98), instructions("c", 183.2)],
                          HELD)
    assert made == {"goals": HELD["goals"], "limits": {"a": 102, "b": 99, "c": 186.8}}


def test_rows_of_linux_have_goals_and_no_limits():
    held = {"goals": {"linux.boot_overhead_percent": 3}, "limits": {}}
    figures = [instructions("linux.boot_instructions", 100), instructions("linux.boot_overhead_percent", 3.0)]
    assert [verdict.wrong for verdict in limits.judge(figures, held, {"peers": {}})] == ["", "misses its goal"]
    assert limits.made_of(figures, held) == held


def test_a_new_limit_is_not_above_its_goal():
    made = limits.made_of([instructions("el2.longest_path.wfi", 4950)], HELD)
    assert made["limits"] == {"el2.longest_path.wfi": 5000}


def test_the_limits_of_the_project_are_within_their_goals():
    held = limits.load(str(ROOT / "tests" / "bench" / "limits.json"))
    assert held["limits"]
    for name, limit in held["limits"].items():
        goal = limits.goal_of(held, name)
        assert goal is None or limit <= goal


def test_the_table_has_accesses_where_they_were_counted():
    counted = {**instructions("sgi.self", 1), "accesses": {"dsb": 1, "isb": 0, "tlbi": 2, "gic": 0.5, "dmb": 3}}
    assert table_of(counted)[0].split()[:7] == ["Weir", "dsb", "isb", "tlbi", "gic", "dmb", "limit"]
    assert table_of(counted)[1].split() == ["sgi.self", "1", "1", "0", "2", "0.5", "3", "3", "4"]


# ---- The whole tool


def test_rows_of_another_tool_are_added_if_they_are_there(tmp_path):
    machine = program(tmp_path, {"ipi": ["[v] row ipi.cross_core 1 9 7 8", *END]})
    also = tmp_path / "also.json"
    assert call(tmp_path, machine, "ipi", "--also", also).returncode == 0
    also.write_text(json.dumps({"rows": [instructions("linux.boot_instructions", 1234567)]}))
    done = call(tmp_path, machine, "ipi", "--also", also)
    assert done.returncode == 0 and "linux.boot_instructions" in done.stdout and "1234567" in done.stdout


def test_figures_are_printed_and_written(tmp_path):
    machine = program(tmp_path, {"ipi": ["[v] row ipi.cross_core 1 9 7 8", *END]})
    done = call(tmp_path, machine, "ipi", "--out", tmp_path / "out.json")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads((tmp_path / "out.json").read_text())
    assert list(result) == ["weir", "qemu", "cpu", "gic", "rows"]
    assert result["rows"] == [{"name": "ipi.cross_core", "unit": "instructions", "figure": 8, "is": "median",
                               "min": 7, "max": 9, "samples": 3,
                               "accesses": {"dsb": 1, "isb": 0, "tlbi": 0, "gic": 0, "dmb": 0}}]


@pytest.mark.parametrize("lines, status, expected", [
    ([*END], 0, "no ipi.cross_core"),
    (["[v] row ipi.cross_core 1 9"], 0, "before all was off"),
    (["[v] row ipi.cross_core 1 9", *END], 3, "status 3"),
    (["[v] row ipi.cross_core 1 9", "weir: fault: VM v vCPU 0: it", *END], 0, "weir: fault"),
    (["[v] guest: data abort", "[v] row ipi.cross_core 1 9", *END], 0, "guest: data abort"),
])
def test_a_boot_that_goes_wrong_leaves_no_figures(tmp_path, lines, status, expected):
    machine = program(tmp_path, {"ipi": lines}, status)
    done = call(tmp_path, machine, "ipi", "--out", tmp_path / "out.json")
    assert done.returncode == 1
    assert expected in done.stderr and "ipi.log" in done.stderr
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize("option, text, expected", [
    ("--out", None, "is a directory: name a file"), ("--page", None, "is a directory: name a file"),
    ("--limits", "x", "Expecting value"), ("--limits", '{"peers": {}}', 'needs "goals" and "limits"'),
    ("--peers", "x", "Expecting value"), ("--peers", "[]", 'needs "peers"'),
    ("--also", "x", "Expecting value"), ("--also", '{"rows": {}}', 'needs "rows"'),
])
def test_a_file_that_will_not_do_is_one_line_before_anything_is_measured(tmp_path, option, text, expected):
    machine = program(tmp_path, {"ipi": ["[v] row ipi.cross_core 1 9", *END]})
    if text:
        (tmp_path / "file").write_text(text)
    else:
        (tmp_path / "file").mkdir()
    done = call(tmp_path, machine, "ipi", option, tmp_path / "file")
    line, = done.stderr.splitlines()
    assert done.returncode == 1 and expected in line and done.stdout == ""


def test_twice_finds_what_does_not_repeat(tmp_path):
    machine = program(tmp_path, {"ipi": ["[v] row ipi.cross_core 1 9", *END]})
    assert call(tmp_path, machine, "ipi", "--twice").returncode == 0
    machine.unlink()
    (tmp_path / "machine.runs").unlink()
    machine.write_text(MACHINE.format(lines={"ipi": ["[v] row ipi.cross_core 1 @RUN@", *END]},
                                      status=0, trace=TRACED))
    machine.chmod(0o755)
    done = call(tmp_path, machine, "ipi", "--twice")
    assert done.returncode == 1
    assert "ipi.cross_core: 1 (1..1), then 2 (2..2)" in done.stderr


@pytest.mark.parametrize("figure, status, last", [
    (4999, 0, "1 passed, 0 failed"),
    (5001, 1, "0 passed, 1 failed"),
])
def test_a_check_counts_the_rows_and_fails_beyond_a_limit(capsys, figure, status, last):
    held = {"goals": {}, "limits": {"ipi.cross_core": 5000}}
    assert bench.check([instructions("ipi.cross_core", figure)], held, {"peers": {}}) == status
    assert capsys.readouterr().out.splitlines()[-1] == last


def test_limits_are_for_all_images(tmp_path):
    machine = program(tmp_path, {})
    assert call(tmp_path, machine, "ipi", "--check").returncode == 2
    assert call(tmp_path, machine, "ipi", "--set-limits").returncode == 2


def test_an_unknown_image_is_refused(tmp_path):
    machine = program(tmp_path, {})
    done = call(tmp_path, machine, "nothing")
    assert done.returncode == 2 and "calls" in done.stderr


def test_the_image_files_are_those_that_the_tool_knows():
    files = {path.stem for path in (ROOT / "tests" / "bench").glob("*.dts")}
    assert files == {image.name.removesuffix("_crowded") for image in bench.IMAGES}  # those are made of others


def test_the_peers_carry_their_method():
    peers = json.loads((ROOT / "tests" / "bench" / "peers.json").read_text())
    assert "icount" in peers["method"] and peers["peers"]["bao 2.0"]["hypercall.null"] == 156
