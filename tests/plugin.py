"""
pytest's side of tests/run: a line for each file of tests (with --each for each test) as it ends, and for
each that failed; a record of all; and --part i/n, the i-th of n processes that share the tests. With
--soak only the tests that are marked `soak`, for longer: the fixture `soak` says for how long (soak.py).
"""

import pytest

import soak as soaking


def pytest_addoption(parser):
    parser.addoption("--part", default="1/1", metavar="I/N", help="only every N-th test, from the I-th")
    parser.addoption("--each", action="store_true", help="a line for each test that passed")
    parser.addoption("--record", default=None, metavar="FILE", help="append the result of each test")
    parser.addoption("--soak", nargs="?", const="", default=None, metavar="AMOUNT",
                     help="soak mode: the long versions, for this time or count")
    parser.addoption("--seed", type=int, default=None, metavar="N", help="of what is done at random")


def pytest_configure(config):
    config.addinivalue_line("markers", "soak: can go on for long, and does in soak mode")
    try:
        config.weir_soak = soaking.parse(config.getoption("--soak"), config.getoption("--seed"))
    except ValueError as error:
        raise pytest.UsageError(f"--soak: {error}") from None
    config.pluginmanager.register(Recorder(config), "weir-recorder")


@pytest.fixture
def soak(request):
    """How long a test goes on that could go on for ever, and its seed: soak.Soak."""
    return request.config.weir_soak


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    part, parts = map(int, config.getoption("--part").split("/"))
    wanted = items
    if config.weir_soak.on:
        wanted = [item for item in items if item.get_closest_marker("soak")]
    mine = wanted[part - 1 :: parts]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(mine)])
    items[:] = mine


class Recorder:
    """A test is passed if its call passed, and failed if anything about it did."""

    def __init__(self, config):
        self._path = config.getoption("--record")
        self._each = config.getoption("--each")
        self._worst = {}
        self._seconds = {}
        self._file = ""
        self._passed, self._passed_seconds = 0, 0.0  # of this file, not yet told

    def _record(self, word, name):
        if self._path:
            with open(self._path, "a") as file:
                file.write(f"{word} {name}\n")

    def _show(self, word, name, seconds):
        name = name if len(name) < 120 else name[:117] + "..."
        print(f"  {word:<7} {name} ({seconds:.1f} s)", flush=True)

    def _show_file(self):
        if self._passed:
            self._show("passed", f"{self._file}: {self._passed} tests", self._passed_seconds)
        self._passed, self._passed_seconds = 0, 0.0

    def pytest_report_teststatus(self, report):
        return report.outcome if report.when == "call" else "", "", ""

    def pytest_runtest_logstart(self, nodeid):
        if nodeid.split("::")[0] != self._file:
            self._show_file()
            self._file = nodeid.split("::")[0]

    def pytest_runtest_logreport(self, report):
        name = report.nodeid
        self._seconds[name] = self._seconds.get(name, 0) + report.duration
        if report.failed:
            self._worst[name] = "failed"
        elif report.skipped:
            self._worst.setdefault(name, "skipped")
        if report.when != "teardown":
            return
        word = self._worst.get(name, "passed")
        self._record(word, name)
        if word == "passed" and not self._each:
            self._passed += 1
            self._passed_seconds += self._seconds[name]
        else:
            self._show("FAILED" if word == "failed" else word, name, self._seconds[name])

    def pytest_collectreport(self, report):
        if report.failed:
            self._record("failed", report.nodeid)
            self._show("FAILED", report.nodeid, 0)

    def pytest_sessionfinish(self):
        self._show_file()
        self._record("end", "")
