"""VMs that end and come back, time and again: how often and from which seed is the image's bootargs."""

import shutil
import subprocess

import pytest

from machine import LAST_LINE, check_tap
from test_guests import BOARDS, RPI4, VIRT, board_name, make_disks
from weirlib import dts

MANAGER = "/vms/manager"
DISKS = {"disks", "disks-read-only"}
FEWER = {"max-gic3": 4, "rpi4": 50}  # the slower boards have fewer lives in make test


@pytest.fixture
def managed(image, tmp_path):
    """managed(NAME, text): a copy of that image, with these bootargs for its manager, perhaps no disks."""

    def change(name, text, disks=1):
        path = tmp_path / f"{name}.dtb"
        shutil.copy(image(name), path)
        subprocess.run(["fdtput", "-t", "s", path, MANAGER, "bootargs", text], check=True)
        for vm in dts.load_blob(str(path)).child("vms").children if not disks else ():
            for word in DISKS & set(vm.props):
                subprocess.run(["fdtput", "-d", path, f"/vms/{vm.name}", word], check=True)
        return path

    return change


def run(boot, blob, reporters, **keywords):
    machine = boot(blob, cores=2, **keywords)
    lines = machine.end()
    check_tap(lines, reporters)
    assert LAST_LINE in lines
    return lines


@pytest.mark.soak
@pytest.mark.parametrize("board", BOARDS, ids=board_name)
def test_each_of_many_lives_has_all_that_the_first_had(boot, managed, tmp_path, soak, board):
    lives = soak.count(1000 // FEWER.get(board_name(board), 1), 10000)
    blob = managed("life_many", f"lives={lives}")
    lines = run(boot, blob, ["manager"], disks=make_disks(tmp_path, 1, {}, {}), **board)
    assert f"[manager] # {lives + 1} lives" in lines


@pytest.mark.soak
@pytest.mark.parametrize("name, disks, icount, board", [
    ("life_random", 1, False, BOARDS[0]),
    ("life_random", 0, True, BOARDS[1]),
    ("life_one_core", 0, True, BOARDS[0]),
    ("life_random", 1, True, RPI4),
], ids=["disk", "two-cores", "one-core", "rpi4"])
def test_ends_at_random_moments(boot, managed, tmp_path, soak, name, disks, icount, board):
    blob = managed(name, f"ends={soak.count(300, 10000)} seed={soak.seed}", disks)
    run(boot, blob, ["manager", "honest"], disks=make_disks(tmp_path, disks, {}, {}), icount=icount,
        **board)


@pytest.mark.soak
@pytest.mark.parametrize("name, cores, weir, board", [
    ("psci_storm", 2, "build/weir.bin", VIRT[0]),
    ("psci_storm", 2, "build/debug/weir.bin", VIRT[1]),
    ("psci_storm_alone", 3, "build/debug/weir.bin", VIRT[0]),
    ("psci_storm_alone", 3, "build/weir.bin", VIRT[1]),
], ids=["crowded-gic2", "crowded-gic3-debug", "alone-gic2-debug", "alone-gic3"])
def test_vcpus_turn_each_other_on_and_off_while_their_vm_ends(boot, image, tmp_path, soak, name, cores, weir, board):
    """One that runs where it should be off says so as an exception does; for one that is lost all wait for ever."""
    blob, lives = tmp_path / f"{name}.dtb", soak.count(10, 5000)
    shutil.copy(image(name), blob)
    words = f"lives={lives} seed={soak.seed}"
    subprocess.run(["fdtput", "-t", "s", blob, "/vms/keeper", "bootargs", words], check=True)
    lines = boot(blob, weir=weir, cores=cores, **board).end()
    check_tap(lines, ["keeper"])
    assert LAST_LINE in lines
    assert "weir: storm starts again" in lines
