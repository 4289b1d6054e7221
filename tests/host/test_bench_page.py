"""The benchmarks' page: well-formed, whole, and in need of nothing else."""

import json
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from test_bench import HELD, END, PEERS, bench, call, instructions, program

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from weirlib import bench_page, limits  # noqa: E402
sys.path.pop(0)

HISTORY = [("aaa", "2026-01-02", {"sgi.self": 9}), ("bbb", "2026-01-03", {"sgi.self": 9, "x": 200}),
           ("ccc", "2026-01-04", {"sgi.self": 3, "x": 200})]


def page_of(rows, peers=PEERS, history=()):
    result = {"weir": "v1", "qemu": "10 <x>", "cpu": "cortex-a72", "gic": 3, "rows": rows}
    return bench_page.page(result, HELD, peers, list(history))


def texts(page, tag):
    return ["".join(element.itertext()) for element in ElementTree.fromstring(page).iter(tag)]


def test_the_page_of_all_that_is_committed_is_well_formed_and_whole():
    held = limits.load(str(ROOT / "tests/bench/limits.json"))
    peers = json.loads((ROOT / "tests/bench/peers.json").read_text())
    rows = [instructions(name, limit) for name, limit in held["limits"].items()]
    page = page_of(rows, peers, [("abc", "2026-01-02", held["limits"])])
    first_cells = [row[0].text for row in ElementTree.fromstring(page).iter("tr")]
    assert first_cells[1:] == list(held["limits"])
    captions = texts(page, "figcaption")
    theirs = {name for who, figures in peers["peers"].items() if who != "native" for name in figures}
    assert set(captions[:len(theirs)]) == theirs
    assert captions[len(theirs):] == list(held["limits"])
    for who, figures in peers["peers"].items():
        for name, figure in figures.items():
            assert f"{who}: {figure}" in texts(page, "title"), name


def test_the_page_needs_no_network():
    page = page_of([instructions("ring.record64", 90)], history=HISTORY)
    assert not re.search(r"https?:|//|@import|url\(|<script|<link|<img|\ssrc=|href=", page)


def test_a_bar_is_as_long_as_its_figure():
    page = page_of([instructions("hypercall.null", 39)])
    bars = {bar[0].text: float(bar.get("width")) for bar in ElementTree.fromstring(page).iter("rect")}
    assert bars == {"Weir: 39": pytest.approx(130 * 39 / 422, abs=0.1),
                    "bao 2.0: 156": pytest.approx(130 * 156 / 422, abs=0.1), "xen 4.17: 422": 130}


@pytest.mark.parametrize("name, size", [
    ("ring.record64", 64), ("ring.batch64", 64), ("ring.bulk64k", 65536), ("page_ring.64k", 65536),
    ("raw.memcpy4k", 4096), ("raw.shared_word", None), ("grant.map4k", None), ("event.round_trip", None),
])
def test_the_size_of_a_record_is_in_the_row_s_name(name, size):
    assert bench_page.record_bytes(name) == size


def test_throughput_is_bytes_over_instructions():
    page = page_of([instructions("ring.record64", 128), instructions("ring.bulk64k", 32768)])
    assert {"ring.record64: 0.50", "ring.bulk64k: 2.00", "64", "64 KiB"} <= set(texts(page, "text"))
    one, other = ElementTree.fromstring(page).iter("circle")
    assert float(one.get("cx")) < float(other.get("cx")) and float(one.get("cy")) > float(other.get("cy"))


def test_names_of_near_points_do_not_lie_on_each_other():
    page = page_of([instructions(name, figure) for name, figure in (
        ("ring.record64", 80), ("ring.batch64", 81), ("ring.comm_core_record64", 82), ("ring.bulk64k", 20000),
        ("raw.memcpy64k", 20100))])
    named = [element for element in ElementTree.fromstring(page).iter("text") if ": " in element.text]
    for side in ("start", "end"):
        places = sorted(float(element.get("y")) for element in named if element.get("text-anchor") == side)
        assert len(places) >= 2 and all(below - above >= 11 for above, below in zip(places, places[1:]))


def test_each_drawing_is_told_in_words():
    page = page_of([instructions("hypercall.null", 39), instructions("ring.record64", 128)], history=HISTORY)
    told = [drawing.get("aria-label") for drawing in ElementTree.fromstring(page).iter("svg")]
    assert told == ["Weir: 39, bao 2.0: 156, xen 4.17: 422", "ring.record64: 0.50",
                    "2026-01-02 aaa: 9, 2026-01-04 ccc: 3", "2026-01-03 bbb: 200"]


def test_the_table_has_accesses_limit_goal_and_best_peer():
    counted = {**instructions("hypercall.null", 92, 92, 94), "accesses": {"dsb": 1, "isb": 2, "tlbi": 0, "gic": 0.5, "dmb": 3}}
    rows = [[cell.text or "" for cell in row] for row in
            ElementTree.fromstring(page_of([counted, instructions("el2.longest_path.wfi", 7)])).iter("tr")]
    assert rows[0] == ["", "Weir", "dsb", "isb", "tlbi", "gic", "dmb", "limit", "goal under", "best peer"]
    assert rows[1] == ["hypercall.null", "92 (median of 92 to 94)", "1", "2", "0", "0.5", "3", "100", "", "bao 2.0: 156"]
    assert rows[2] == ["el2.longest_path.wfi", "7", "", "", "", "", "", "6000", "5000", ""]


def test_a_limit_s_history_has_a_step_where_it_changed():
    page = page_of([], history=HISTORY)
    assert texts(page, "figcaption") == ["sgi.self", "x"]
    told = [title for title in texts(page, "title") if title.startswith("2026")]
    assert told == ["2026-01-02 aaa: 9\n2026-01-04 ccc: 3", "2026-01-03 bbb: 200"]
    assert {"9 → 3", "200"} <= set(texts(page, "text"))
    assert "without their repository" in page_of([])


# ---- The repository


def git(folder, *words):
    subprocess.run(["git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True,
                   capture_output=True)


@pytest.fixture(name="repository")
def make_repository(tmp_path):
    """Three commits of a file of limits; the second is none."""
    folder = tmp_path / "origin" / "bench"
    folder.mkdir(parents=True)
    git(folder.parent, "init", "-q")
    for text in ('{"goals": {}, "limits": {"a": 5}}', "<<<", '{"goals": {}, "limits": {"a": 4, "b": 1}}'):
        (folder / "limits.json").write_text(text)
        git(folder, "add", ".")
        git(folder, "commit", "-q", "-m", "x")
    return folder


def test_the_history_is_that_of_the_commits(repository):
    found = limits.history(str(repository / "limits.json"))
    assert [held for _, _, held in found] == [{"a": 5}, {"a": 4, "b": 1}]


def test_a_shallow_clone_has_the_history_that_it_has(repository, tmp_path):
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{repository.parent}", "shallow")
    found = limits.history(str(tmp_path / "shallow" / "bench" / "limits.json"))
    assert [held for _, _, held in found] == [{"a": 4, "b": 1}]


def test_without_git_there_is_no_history(tmp_path, repository, monkeypatch):
    (tmp_path / "limits.json").write_text('{"limits": {}}')
    assert limits.history(str(tmp_path / "limits.json")) == []
    monkeypatch.setenv("PATH", str(tmp_path))
    assert limits.history(str(repository / "limits.json")) == []


def test_bench_writes_the_page(tmp_path):
    machine = program(tmp_path, {"ipi": ["[v] row ipi.cross_core 1 9", *END]})
    assert call(tmp_path, machine, "ipi", "--page", tmp_path / "page.html").returncode == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert [row[0].text for row in ElementTree.fromstring(page).iter("tr")] == [None, "ipi.cross_core"]
    assert bench.bench_page.__file__ == bench_page.__file__
