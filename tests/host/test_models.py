"""tests/models/run fails when a model does not hold, when a barrier is idle, and when the table lies."""

import pathlib
import shutil
import subprocess

import pytest

MODELS = pathlib.Path(__file__).resolve().parents[1] / "models"

pytestmark = pytest.mark.skipif(not shutil.which("spin"), reason="no spin")

# One writes a word and then says so; the other reads it when it has been told.
MODEL = """
#define CORES 1
#define WORDS 2
#define DEPTH 3
#include "memory.pml"
active proctype writer()
{
	store(0, 0, 1);
#ifdef NO_A1
	store(0, 1, 1);
#else
	store_release(0, 1, 1);
#endif
}
active proctype reader()
{
	memory[1] == 1;
	assert(memory[0] == 1)
}
init
{
	run visible(0)
}
"""
TABLE = "| [A1] | where | `stlr` | pass | what breaks |\n"


def run(folder, model=MODEL, table=TABLE):
    for name in ("run", "memory.pml"):
        shutil.copy(MODELS / name, folder)
    (folder / "pass.pml").write_text(model)
    (folder / "README.md").write_text(table)
    return subprocess.run([folder / "run", "--verbose"], capture_output=True, text=True)


def test_a_model_that_needs_its_barrier_passes(tmp_path):
    result = run(tmp_path)
    assert result.returncode == 0, result.stderr
    assert "pass.pml: holds in all of its" in result.stdout
    assert "pass.pml without [A1]: assertion violated" in result.stdout


@pytest.mark.parametrize("model, message", [
    (MODEL.replace("#ifdef NO_A1", "#if 1 /* NO_A1 */"), "pass.pml: assertion violated"),
    (MODEL.replace("#ifdef NO_A1", "#if 0 /* NO_A1 */"), "pass.pml without [A1]: no error was found"),
    (MODEL.replace("memory[1] == 1;", "memory[1] == 2;"), "pass.pml: invalid end state"),
    (MODEL.replace("store(0, 0, 1);", "store(0, 0, 1"), "pass.pml: spin: "),
])
def test_a_model_that_is_wrong_is_seen(tmp_path, model, message):
    result = run(tmp_path, model)
    assert result.returncode == 1 and message in result.stderr, result.stderr


@pytest.mark.parametrize("table, message", [
    ("", "[A1] of pass.pml is not in the table"),
    (TABLE + TABLE.replace("A1", "A2"), "[A2]: pass.pml has no NO_A2"),
    (TABLE.replace(" pass ", " pass, other "), "[A1]: there is no other.pml"),
])
def test_a_table_that_lies_is_seen(tmp_path, table, message):
    result = run(tmp_path, MODEL, table)
    assert result.returncode == 1 and message in result.stderr, result.stderr
