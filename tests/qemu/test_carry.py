"""The main job: tools/carry moves a file through two VMs, whatever its length."""

import random
import re
import subprocess

import pytest

from conftest import ROOT, existing

SIZES = {"0": 0, "1": 1, "511": 511, "512": 512, "513": 513, "5MiB": 5 << 20}
BOARDS = [dict(cpu="cortex-a72", gic=2), dict(cpu="max", gic=3)]


def carry(path, *options, timeout=400):
    return subprocess.run(
        [ROOT / "tools/carry", path, "--weir", existing(ROOT / "build/weir.bin"),
         "--image", existing(ROOT / "build/images/carry.dtb"), *options],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", timeout=timeout)


@pytest.fixture
def log(request):
    path = ROOT / "build/tests/qemu" / f"{request.node.name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    request.node.user_properties.append(("log", str(path)))
    return path


def check_carried(result, size, log):
    log.write_text(" ".join(map(str, result.args)) + "\n" + result.stdout)
    lines = result.stdout.splitlines()
    assert result.returncode == 0, result.stdout
    assert f": {size} bytes crossed from reader to writer, SHA-256 " in lines[-1]
    assert "weir: panic" not in result.stdout and "weir: fault" not in result.stdout
    assert [line for line in lines if line.startswith("weir: ")]


@pytest.mark.parametrize("size", SIZES)
def test_carry(tmp_path, size, log):
    path = tmp_path / "file"
    path.write_bytes(random.Random(size).randbytes(SIZES[size]))
    check_carried(carry(path), SIZES[size], log)


@pytest.mark.parametrize("cores", [1, 4])
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: f"{board['cpu']}-gic{board['gic']}")
def test_carry_on_board(tmp_path, board, cores, log):
    path = tmp_path / "file"
    path.write_bytes(random.Random(cores).randbytes(300000))
    options = ["--cpu", board["cpu"], "--gic", str(board["gic"]), "--cores", str(cores)]
    check_carried(carry(path, *options), 300000, log)


def test_the_upcall_asks_for_progress_even_for_an_empty_file(tmp_path, log):
    path = tmp_path / "empty"
    path.write_bytes(b"")
    result = carry(path)
    check_carried(result, 0, log)
    assert re.search(r"^weir: reader: (done|\d+ %)", result.stdout, re.MULTILINE), result.stdout
