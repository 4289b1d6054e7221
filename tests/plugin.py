"""
pytest's side of tests/run: one line for each test as it ends, a record of it, and --part i/n, the i-th
of n processes that share the tests.
"""

import pytest


def pytest_addoption(parser):
    parser.addoption("--part", default="1/1", metavar="I/N", help="only every N-th test, from the I-th")
    parser.addoption("--record", default=None, metavar="FILE", help="append the result of each test")


def pytest_configure(config):
    config.pluginmanager.register(Recorder(config), "weir-recorder")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    part, parts = map(int, config.getoption("--part").split("/"))
    mine = items[part - 1 :: parts]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(mine)])
    items[:] = mine


class Recorder:
    """A test is passed if its call passed, and failed if anything about it did."""

    def __init__(self, config):
        self._path = config.getoption("--record")
        self._worst = {}
        self._seconds = {}

    def _record(self, word, name):
        if self._path:
            with open(self._path, "a") as file:
                file.write(f"{word} {name}\n")

    def _show(self, word, name):
        name = name if len(name) < 120 else name[:117] + "..."
        print(f"  {word:<7} {name} ({self._seconds.get(name, 0):.1f} s)", flush=True)

    def pytest_report_teststatus(self, report):
        return report.outcome if report.when == "call" else "", "", ""

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
        self._show("FAILED" if word == "failed" else word, name)

    def pytest_collectreport(self, report):
        if report.failed:
            self._record("failed", report.nodeid)
            self._show("FAILED", report.nodeid)

    def pytest_sessionfinish(self):
        self._record("end", "")
