"""tests/fuzz/run: what counts as found, and what a failure says. The fuzzers here are shell scripts."""

import importlib.machinery
import importlib.util
import os
import pathlib
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUN = ROOT / "tests/fuzz/run"

QUIET = """echo 'stat::number_of_executed_units: 1234' >&2
"""
CRASH = """for word in "$@"; do
	case $word in -artifact_prefix=*) echo broken >"${word#*=}crash-0123" ;; esac
done
echo 'FAILED: tests/fuzz/machine.c:1: it must be so: true' >&2
exit 77
"""


def fuzz(folder, script, *words, name="fuzz_it"):
    program = folder / name
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >' + f"{folder}/{name}.words\n" + script)
    program.chmod(0o755)
    return subprocess.run([RUN, folder, "--seconds=1", *words, name], capture_output=True, text=True)


def test_a_target_that_finds_nothing_is_one_passed(tmp_path):
    result = fuzz(tmp_path, QUIET)
    assert result.returncode == 0
    assert "fuzz_it: nothing found in 1234 inputs" in result.stdout
    assert result.stdout.splitlines()[-1] == "1 passed, 0 failed"
    assert (tmp_path / "summary").read_text() == "1 passed, 0 failed\n"


def test_what_was_found_is_named_with_its_reason_and_how_to_see_it_again(tmp_path):
    result = fuzz(tmp_path, CRASH)
    assert result.returncode != 0
    assert "FAILED: tests/fuzz/machine.c:1" in result.stdout
    assert f"again: {tmp_path}/fuzz_it {tmp_path}/fuzz_it.crash-0123" in result.stdout
    assert (tmp_path / "fuzz_it.crash-0123").read_text() == "broken\n"
    assert result.stdout.splitlines()[-1] == "0 passed, 1 failed"


def test_what_an_earlier_run_found_is_not_taken_for_this_ones(tmp_path):
    fuzz(tmp_path, CRASH)
    assert fuzz(tmp_path, QUIET).returncode == 0
    assert not list(tmp_path.glob("*.crash-*"))


def test_a_target_that_tried_nothing_has_failed(tmp_path):
    for script in ("exit 0\n", "echo 'stat::number_of_executed_units: 0' >&2\n", "kill -9 $$\n"):
        result = fuzz(tmp_path, script)
        assert result.returncode != 0 and "0 passed, 1 failed" in result.stdout, script


def test_a_target_that_is_not_there_has_failed(tmp_path):
    result = subprocess.run([RUN, tmp_path, "fuzz_nothing"], capture_output=True, text=True)
    assert result.returncode != 0 and "0 passed, 1 failed" in result.stdout


def test_the_seed_is_printed_and_is_the_one_that_was_given(tmp_path):
    assert "seed 77" in fuzz(tmp_path, QUIET, "--seed=77").stdout
    assert "-seed=77\n" in (tmp_path / "fuzz_it.words").read_text()
    drawn = fuzz(tmp_path, QUIET).stdout.split("seed ")[1].split()[0]
    assert f"-seed={drawn}\n" in (tmp_path / "fuzz_it.words").read_text()


def test_a_clang_that_cannot_link_a_fuzzer_is_one_line_and_a_failure(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    result = subprocess.run(["make", "-s", "fuzz", "CLANG=false", f"FUZZ_OUT={tmp_path}"], cwd=ROOT, env=environment,
                            capture_output=True, text=True)
    assert result.returncode != 0
    assert [line for line in result.stdout.splitlines() if "cannot link -fsanitize=fuzzer" in line]
    assert not (tmp_path / "summary").exists()


def runner():
    """tests/run as a module; it has no suffix."""
    loader = importlib.machinery.SourceFileLoader("weir_runner", str(ROOT / "tests/run"))
    sys.path.insert(0, str(ROOT / "tests"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("weir_runner", loader))
    loader.exec_module(module)
    return module


def test_fuzzers_run_beside_qemu_and_are_counted_once(monkeypatch):
    module, began = runner(), threading.Event()

    def qemu(count, options):
        assert began.wait(60), "the fuzzers do not run meanwhile"
        count.add(10, 0)

    def fuzzers(count, options):
        began.set()
        count.add(3, 1)

    monkeypatch.setitem(module.GROUPS, "qemu", qemu)
    monkeypatch.setitem(module.GROUPS, "fuzz", fuzzers)
    count = module.Count()
    module.run_groups(["qemu", "fuzz"], count, None)
    assert (count.passed, count.failed) == (13, 1)
    module.run_groups(["fuzz"], count, None)
    assert (count.passed, count.failed) == (16, 2)


def test_fuzzers_that_break_off_have_failed(monkeypatch):
    module = runner()

    def broken(count, options):
        raise OSError("no such clang")

    monkeypatch.setitem(module.GROUPS, "qemu", lambda count, options: count.add(1, 0))
    monkeypatch.setitem(module.GROUPS, "fuzz", broken)
    count = module.Count()
    module.run_groups(["qemu", "fuzz"], count, None)
    assert (count.passed, count.failed) == (1, 1)
