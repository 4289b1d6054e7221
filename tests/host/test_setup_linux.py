"""tools/setup: Debian's Linux and busybox, out of packages of arm64, on the made-up machine of setup_machine.py."""

import os

import pytest

from setup_machine import KERNEL, NEWER, Machine

XZ = """#!/bin/sh
[ "$1" = --version ] && echo 'xz (XZ Utils) 5.4.1' && exit
mv "$2" "${2%.xz}"
"""


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path).all_there()


@pytest.fixture
def linux(machine):
    machine.script("xz", XZ)
    machine.user(1000)
    return machine


def test_kernel_busybox_and_modules_are_unpacked_and_the_packages_kept(linux):
    result = linux.run("linux", "6.1", "build/linux/6.1")
    assert result.returncode == 0, result.stderr
    assert "fetching Linux 6.1.192 for arm64: " in result.stdout
    out = linux.top / "build/linux/6.1"
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()) == [
        "busybox", "modules/ext4.ko", "modules/virtio_mmio.ko", "vmlinuz"]
    assert (out / "vmlinuz").read_text() == "vmlinuz-6.1"
    assert os.listdir(linux.top / "build/linux") == ["6.1"]
    assert sorted(os.listdir(linux.tree.parent / "linux")) == [
        "busybox-static_1.35.0-4_arm64.deb", f"{KERNEL}_6.1.192-2_arm64.deb"]
    assert linux.installs() == []


def test_packages_of_linux_in_the_cache_need_no_network(linux):
    (linux.tree.parent / "linux").mkdir()
    for name in (f"{KERNEL}_6.1.192-2", "busybox-static_1.35.0-4"):
        (linux.tree.parent / f"linux/{name}_arm64.deb").touch()
    assert linux.run("linux", "6.1", "out").returncode == 0
    assert linux.calls() == []
    linux.tree.unlink()  # is in the kernel's package, too
    assert linux.run("rpi4", "out.dtb").returncode == 0
    assert linux.calls() == []


def test_kernel_that_the_tests_need_is_fetched_once(linux):
    linux.tree.unlink()
    assert linux.run("test", "out.mk").returncode == 0
    assert os.listdir(linux.tree.parent / "linux") == [f"{KERNEL}_6.1.192-2_arm64.deb"]
    result = linux.run("linux", "6.1", "out")
    assert result.returncode == 0 and "fetching Linux" not in result.stdout


def test_check_of_a_version_asks_for_its_packages_and_fetches_none(linux):
    assert linux.run("--check", "linux").returncode == 0
    missing = linux.run("--check", "linux", "6.1")
    assert (missing.returncode, missing.stdout) == (
        1, f"  Linux 6.1 and busybox-static of arm64: {linux.tree.parent}/linux\n")
    assert linux.run("linux", "6.1", "out").returncode == 0
    assert linux.run("--check", "linux", "6.1").returncode == 0
    assert linux.run("--check", "linux", "6.12").returncode == 1


def test_newer_kernel_comes_from_backports_of_the_same_mirror(linux):
    result = linux.run("linux", "6.12", "out")
    assert result.returncode == 0, result.stderr
    assert (linux.tree.parent / f"linux/{NEWER}_6.12.95-1~bpo12+1_arm64.deb").exists()
    derived = (linux.tree.parent / "apt/arm64-backports/sources.d/weir.sources").read_text()
    assert "Suites: bookworm-backports\nURIs: http://mirror.example/debian\n" in derived
    assert "rchitectures:" not in derived and "bookworm-updates" not in derived


def test_kernel_that_is_not_offered_is_told_with_what_is(linux):
    result = linux.run("linux", "5.10", "build/out")
    assert result.returncode == 1
    assert f"offers no Linux 5.10 of arm64, but {KERNEL} {NEWER}: put packages of your own there" in result.stderr
    assert not (linux.top / "build/out").exists()


def test_mirror_without_busybox_is_told(linux):
    del linux.offers["busybox-static"]
    result = linux.run("linux", "6.1", "out")
    assert result.returncode == 1 and "does not offer busybox-static of arm64: put packages" in result.stderr


def test_kernel_package_that_cannot_be_read_leaves_nothing_behind(linux):
    (linux.top / "no-kernel").touch()
    result = linux.run("linux", "6.1", "out")
    assert result.returncode == 1 and "cannot unpack" in result.stderr and KERNEL in result.stderr
    assert not (linux.top / "out").exists()


def test_what_makes_the_ramdisk_is_installed_for_linux_and_the_tests(machine):
    machine.without("cpio")
    assert machine.run("--check", "run").returncode == 0
    for level in ("linux", "test"):
        assert "  cpio: " in machine.run("--check", level).stdout
    assert machine.run("linux", "5.10", "out").returncode == 1
    assert [call.split()[-1] for call in machine.installs()] == ["cpio"]
