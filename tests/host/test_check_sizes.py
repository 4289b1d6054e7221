"""tools/check-sizes sees files and functions that are too long, and no others."""

import importlib.machinery
import importlib.util
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
loader = importlib.machinery.SourceFileLoader("check_sizes", str(ROOT / "tools/check-sizes"))
sizes = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_sizes", loader))
sys.path.insert(0, str(ROOT / "tools"))
loader.exec_module(sizes)
sys.path.pop(0)


@pytest.fixture
def found(tmp_path):
    """What is said of a project of one file."""
    def check(name, text):
        subprocess.run(["git", "init", "-q", tmp_path], check=True)
        (tmp_path / name).write_text(text)
        done = subprocess.run([ROOT / "tools/check-sizes", tmp_path], capture_output=True, text=True, check=False)
        assert done.returncode == (1 if done.stderr else 0) and done.stdout == ""
        return done.stderr.splitlines()
    return check


def c_function(lines, head="static int f(int a,\n\t\t int b)"):
    return head + "\n{\n" + "\tg();\n" * (lines - 2) + "}\n"


def python_function(lines):
    return "def f():\n" + "    g()\n" * (lines - 1)


def shell_function(lines):
    return "#!/bin/sh\nf() {\n" + "\tg\n" * (lines - 2) + "}\n"


def test_the_project_is_short_enough():
    assert list(sizes.too_long(ROOT)) == []


@pytest.mark.parametrize("name, function, line", [
    ("a.c", c_function, 1), ("a.h", c_function, 1), ("a.py", python_function, 1), ("a", shell_function, 2)])
def test_a_function_of_60_lines_is_the_longest(found, name, function, line):
    assert found(name, function(60)) == []
    assert found(name, function(61)) == [f"{name}:{line}: f has 61 lines (at most 60): split it"]


def test_each_function_counts_for_itself(found):
    assert found("a.c", "/* what g is */\n" + c_function(40) + "\n" + c_function(40, "void g(void)")) == []
    text = c_function(40) + "\n" + c_function(70, "TEST(what_is_promised)")
    assert found("a.c", text) == ["a.c:44: TEST(what_is_promised) has 70 lines (at most 60): split it"]


def test_a_method_counts_and_so_does_what_python_a_file_without_ending_is(found):
    text = "#!/usr/bin/python3\nclass A:\n    def f(self):\n" + "        g()\n" * 60
    assert found("tool", text) == ["tool:3: f has 61 lines (at most 60): split it"]


@pytest.mark.parametrize("name", ["a.c", "a.S", "a.mk", "README.md"])
def test_a_file_of_600_lines_is_the_longest(found, name):
    assert found(name, "\n" * 600) == []
    assert found(name, "\n" * 601) == [f"{name}: has 601 lines (at most 600): split it by subject"]


def test_data_may_be_long(found):
    assert found("a.json", "\n" * 1000) == []


def test_who_says_why_may_be_longer(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "a.c").write_text(c_function(700))
    monkeypatch.setattr(sizes, "EXCEPTIONS", {"a.c": "one table", ("a.c", "f"): "the same"})
    assert list(sizes.too_long(tmp_path)) == []
