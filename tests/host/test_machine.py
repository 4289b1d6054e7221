"""tests/qemu/machine.py and tests/run: every way in which a run on QEMU can fail is seen."""

import itertools
import os
import pathlib
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/qemu"), str(ROOT / "tests")]

import soak as soaking  # noqa: E402
from machine import Failure, Hang, Machine, Watch, check_tap  # noqa: E402

GOOD = ["[a] 1..2", "[a] ok 1 first", "weir: a: 50 %", "[a] ok 2 second", "[a] # done"]


def tap(*lines):
    return check_tap(lines, ["a"])


def test_good_report_is_counted():
    assert tap(*GOOD) == 2


def test_reports_of_two_vms_may_mix():
    lines = ["[a] 1..1", "[b] 1..1", "[b] ok 1 x", "[a] ok 1 x", "[a] # done", "[b] # done"]
    assert check_tap(lines, ["a", "b"]) == 2


@pytest.mark.parametrize("lines, message", [
    ([], "a: no plan"),
    (GOOD[1:], "a: no plan"),
    (["[a] 1..0", "[a] # done"], "a: the plan is empty"),
    (GOOD[:-1], "a: ended early"),
    (GOOD[:2] + GOOD[-1:], "a: 1 results of 2"),
    (GOOD[:2] + ["[a] not ok 2 second # line 7: x is 1, not 2"] + GOOD[-1:], "line 7: x is 1, not 2"),
    (GOOD[:4] + ["[a] ok 3 third"] + GOOD[-1:], "a: 3 results of 2"),
    (GOOD[:1] + ["[a] ok 2 second"], "a: result 2 where 1 should be"),
    (GOOD + GOOD, "a: a second plan"),
    (GOOD[1:2] + GOOD[:1], "a: the plan comes after results"),
    (GOOD[:-1] + ["[a] Bail out! no memory"], "Bail out! no memory"),
    (["[b" + line[2:] for line in GOOD], "a: no plan"),
    ([line.replace("[a] ", "") for line in GOOD], "a: no plan"),
])
def test_bad_report_fails(lines, message):
    with pytest.raises(Failure, match=message.replace("!", ".")):
        tap(*lines)


@pytest.fixture
def machine(tmp_path):
    """A machine made of a Python program."""
    machines = []

    def start(program, **keywords):
        command = [sys.executable, "-u", "-c", program]
        machines.append(Machine(command, tmp_path / "log", **keywords))
        return machines[-1]

    yield start
    for machine in machines:
        machine.kill()


def test_lines_come_in_order_and_the_log_repeats_the_run(machine, tmp_path):
    run = machine("print('one\\r\\ntwo')")
    assert run.end() == ["one", "two"]
    log = (tmp_path / "log").read_text().splitlines()
    assert log[0].startswith(sys.executable) and log[1:] == ["one", "two"]


def test_wait_for_finds_a_line_and_fails_at_the_end(machine):
    run = machine("print('a 1\\nb 2')")
    assert run.wait_for(r"b (\d)")[1] == "2"
    with pytest.raises(Failure, match="ended without"):
        run.wait_for("c")


def test_silence_is_a_hang(machine):
    run = machine("import time; print('alive'); time.sleep(60)")
    run.wait_for("alive")  # on a busy machine Python needs a while to start
    run._patience = 0.5
    with pytest.raises(Hang, match="after 'alive'"):
        run.end()


def test_endless_output_is_a_hang(machine):
    run = machine("import time\nwhile True: print('x'); time.sleep(0.01)", limit=1)
    with pytest.raises(Hang):
        run.end()


def test_waiting_for_a_core_is_no_silence(machine, monkeypatch):
    run = machine("import time; print('alive'); time.sleep(4); print('still'); time.sleep(60)")
    run.wait_for("alive")
    run._patience = 1.5
    with monkeypatch.context() as patch:
        patch.setattr(Watch, "delays", lambda _: {"1": time.monotonic(), "2": 0.0})
        run.wait_for("still")
    with pytest.raises(Hang, match="after 'still'"):
        run.end()


def test_a_host_that_stands_still_is_no_silence(machine, monkeypatch):
    """Nor does it go on for long."""
    run = machine("import time; print('alive'); time.sleep(1); print('still')", limit=60)
    run.wait_for("alive")
    monkeypatch.setattr(time, "monotonic", itertools.count(time.monotonic(), 1000).__next__)
    assert run.end() == ["alive", "still"]


@pytest.mark.parametrize("told", [None, "", "0\n", "a b c\n"], ids=["nothing", "empty", "one number", "words"])
def test_a_kernel_that_does_not_tell_of_waits_leaves_the_clock(tmp_path, monkeypatch, told):
    for task, text in (("1", "5 3000000000 1\n"), ("2", told), ("3", "5 4000000000 1\n")):
        (tmp_path / task).mkdir()
        if text is not None:
            (tmp_path / task / "schedstat").write_text(text)
    watch = Watch(os.getpid())
    watch._tasks = tmp_path
    assert watch.delays() == {"1": 3.0, "3": 4.0}
    watch._tasks = tmp_path / "ended"
    watch._at, now = 100, iter([100.5, 101])
    monkeypatch.setattr(time, "monotonic", now.__next__)
    assert [watch.passed(), watch.passed()] == [0.5, 0.5]


def counts_waits():
    """0 of processor time: the kernel has the file, and counts nothing."""
    path = pathlib.Path("/proc/self/schedstat")
    return path.exists() and path.read_text().split()[0] != "0"


@pytest.mark.skipif(not counts_waits(), reason="the kernel does not count it")
def test_a_process_that_gets_no_core_is_told_from_one_that_sleeps():
    """Two that spin and one that sleeps, on one core; they count from when all have begun to."""
    core = min(os.sched_getaffinity(0))
    spin = f"import os; os.sched_setaffinity(0, [{core}]); os.write(1, b'.')\nwhile True: pass"
    programs = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
                for program in (spin, spin, "import os, time; os.write(1, b'.'); time.sleep(600)")]
    try:
        assert [program.stdout.read(1) for program in programs] == [b"."] * 3
        watches = [Watch(program.pid) for program in programs]
        before = [sum(watch.delays().values()) for watch in watches]
        for _ in range(600):
            time.sleep(0.1)
            waited = [sum(watch.delays().values()) - past for watch, past in zip(watches, before)]
            if min(waited[:2]) > max(0.5, waited[2]):
                break
        assert min(waited[:2]) > waited[2]
    finally:
        for program in programs:
            program.kill()
            program.wait()
            program.stdout.close()


def test_exit_status_is_looked_at(machine):
    with pytest.raises(Failure, match="status 3"):
        machine("raise SystemExit(3)").end()


@pytest.mark.parametrize("line", [
    "weir: panic: exception at EL2",
    "weir: fault: VM a vCPU 0: data abort",
    "[a] guest: unexpected exception: data abort on vCPU 0",
    "qemu-system-aarch64: -M: no such machine",
])
def test_trouble_fails_with_what_follows_it(machine, line):
    run = machine(f"print({line!r}); print('the reason')")
    run._moment = 60  # or until it ends: what comes next may take its time
    with pytest.raises(Failure, match="the reason"):
        run.end()


def test_a_guest_cannot_fake_trouble_of_weir(machine):
    machine("print('[a] weir: panic: nothing')").end()


def test_trouble_that_is_expected_passes(machine):
    line = "weir: fault: VM bad vCPU 0: data abort"
    assert machine(f"print({line!r})", allowed=["VM bad"]).end() == [line]
    with pytest.raises(Failure):
        machine(f"print({line!r})", allowed=["VM other"]).end()


def test_kill_ends_what_ignores_everything(machine):
    run = machine("import signal, time; signal.signal(15, signal.SIG_IGN); print('up'); time.sleep(60)")
    run.wait_for("up")
    run.kill()
    assert run._process.returncode == -9


# ---- tests/run ----

RUNNER_TEST = """
import os

def test_good(): pass
def test_bad(): assert 1 == 2, "the reason"
def test_crash():
    if os.environ.get("CRASH"): os._exit(7)
"""


def run_pytest_part(folder, parts=1, part=1, *words, **environment):
    record = folder / f"record-{part}"
    result = subprocess.run(
        ["/usr/bin/python3", "-m", "pytest", "-p", "plugin", "-p", "no:cacheprovider", "-qq",
         f"--part={part}/{parts}", f"--record={record}", *words, str(folder)],
        cwd=folder, capture_output=True, text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "tests"),
             "PYTHONDONTWRITEBYTECODE": "1", **environment})
    return result.stdout, record.read_text().split("\n")[:-1]


def counted(records):
    """What tests/run makes of a record: (passed, failed)."""
    import importlib.machinery
    import importlib.util

    loader = importlib.machinery.SourceFileLoader("runner", str(ROOT / "tests/run"))
    runner = importlib.util.module_from_spec(importlib.util.spec_from_loader("runner", loader))
    loader.exec_module(runner)
    count = runner.Count()
    for record in records:
        runner.read_record(record, count, "x")
    return count.passed, count.failed


def test_the_plugin_records_each_test(tmp_path):
    (tmp_path / "test_x.py").write_text(RUNNER_TEST)
    output, record = run_pytest_part(tmp_path)
    assert record == ["passed test_x.py::test_good", "failed test_x.py::test_bad",
                      "passed test_x.py::test_crash", "end "]
    assert "FAILED  test_x.py::test_bad" in output and "the reason" in output
    assert counted([tmp_path / "record-1"]) == (2, 1)


def test_a_crash_is_one_failure(tmp_path):
    (tmp_path / "test_x.py").write_text(RUNNER_TEST)
    _, record = run_pytest_part(tmp_path, CRASH="1")
    assert record == ["passed test_x.py::test_good", "failed test_x.py::test_bad"]
    assert counted([tmp_path / "record-1"]) == (1, 2)


def test_a_file_that_cannot_be_read_is_a_failure(tmp_path):
    (tmp_path / "test_x.py").write_text("import nothing_of_that_name")
    run_pytest_part(tmp_path)
    passed, failed = counted([tmp_path / "record-1"])
    assert passed == 0 and failed >= 1


def test_no_tests_are_a_failure(tmp_path):
    (tmp_path / "test_x.py").write_text("")
    run_pytest_part(tmp_path)
    assert counted([tmp_path / "record-1"]) == (0, 1)


def test_a_missing_record_is_a_failure(tmp_path):
    assert counted([tmp_path / "record-1"]) == (0, 1)


def test_an_error_in_a_fixture_is_a_failure(tmp_path):
    (tmp_path / "test_x.py").write_text(
        "import pytest\n@pytest.fixture\ndef f():\n    yield\n    raise ValueError\n"
        "def test_a(f): pass\n")
    run_pytest_part(tmp_path)
    assert counted([tmp_path / "record-1"]) == (0, 1)


def test_parts_share_the_tests_without_a_gap(tmp_path):
    (tmp_path / "test_x.py").write_text("".join(f"def test_{i}(): pass\n" for i in range(7)))
    records = [run_pytest_part(tmp_path, 3, part)[1] for part in (1, 2, 3)]
    names = [line for record in records for line in record if line.startswith("passed")]
    assert len(names) == len(set(names)) == 7
    assert {len(record) for record in records} == {3, 4}


# ---- Soak mode ----

SOAK_TEST = """
import pytest

@pytest.mark.soak
def test_long(soak): print("went on", soak.seconds(60, 7200), soak.count(1000, 10000), soak.seed)

def test_short(soak): print("went on", soak.seconds(60, 7200))
"""


@pytest.mark.parametrize("words, expected", [
    ([], ["went on 60 1000 1", "went on 60"]),
    (["--seed=7"], ["went on 60 1000 7", "went on 60"]),
    (["--soak", "--seed=7"], ["went on 7200 10000 7"]),
    (["--soak=30m", "--seed=7"], ["went on 1800.0 10000 7"]),
    (["--soak=50,2h", "--seed=7"], ["went on 7200.0 50 7"]),
])
def test_soak_mode_is_the_marked_tests_for_longer(tmp_path, words, expected):
    (tmp_path / "test_x.py").write_text(SOAK_TEST)
    output, record = run_pytest_part(tmp_path, 1, 1, "-s", *words)
    went = [line for line in output.splitlines() if line.startswith("went on")]
    assert went == expected and len(record) == len(expected) + 1


@pytest.mark.parametrize("amount", ["4 h", "4d", "-1", "0", "30m,x"])
def test_an_amount_that_is_none_is_refused(amount):
    with pytest.raises(ValueError):
        soaking.parse(amount)


def test_each_soak_has_a_seed_of_its_own_unless_one_is_asked_for():
    assert soaking.parse("").seed != soaking.parse("").seed
    assert soaking.parse("", 5).seed == 5


def test_programs_learn_of_soak_mode_by_their_environment():
    assert soaking.parse(None).environment() == {"WEIR_SEED": "1"}
    told = soaking.parse("10000,4h", 9).environment()
    assert told == {"WEIR_SOAK": "1", "WEIR_SOAK_COUNT": "10000", "WEIR_SOAK_SECONDS": "14400",
                    "WEIR_SEED": "9", "WEIR_LIMIT_SECONDS": "86400"}


# ---- Wrong words ----


@pytest.mark.parametrize("words, said", [
    (["run", "host", "--jobs=0"], "--jobs and --patience: a number above 0"),
    (["run", "host", "--patience=0"], "--jobs and --patience: a number above 0"),
    (["run", "bogus"], "there is no group 'bogus'"),
    (["fuzz/run", ".", "fuzz_it", "--seconds=0"], "--seconds and --jobs: a number from 1"),
    (["fuzz/run", ".", "fuzz_it", "--jobs=0"], "--seconds and --jobs: a number from 1"),
    (["models/run", "--jobs=0"], "--jobs: a number from 1"),
    (["host/run-programs"], "usage: tests/host/run-programs DIRECTORY TEST..."),
    (["host/run-programs", "none", "test_x"], "usage: tests/host/run-programs DIRECTORY TEST..."),
], ids=" ".join)
def test_a_runner_that_is_called_wrongly_runs_nothing(words, said, tmp_path):
    done = subprocess.run([ROOT / "tests" / words[0], *words[1:]], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.splitlines()[-1].endswith(said)
