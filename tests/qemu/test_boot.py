"""Weir boots on every combination of interrupt controller, core, number of cores and compiler."""

import pytest

from machine import LAST_LINE, Failure, check_tap

BUILDS = {"gcc": "build/weir.bin", "clang": "build/clang/weir.bin"}


def check_boot(machine):
    """The image boot.dts: one VM with four vCPUs on all cores, one with a single vCPU."""
    lines = machine.end()
    check_tap(lines, ["many", "one"])
    assert LAST_LINE in lines


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("cores", [1, 2, 4])
@pytest.mark.parametrize("cpu", ["cortex-a72", "max"])
@pytest.mark.parametrize("gic", [2, 3])
def test_boot(boot, image, gic, cpu, cores, build):
    check_boot(boot(image("boot"), weir=BUILDS[build], gic=gic, cpu=cpu, cores=cores))


@pytest.mark.parametrize("memory_mib", [64, 128, 256, 1024, 2048, 4096, 8192])
def test_memory(boot, image, memory_mib):
    check_boot(boot(image("boot"), memory_mib=memory_mib))


def check_refusal(machine, expected):
    """Exactly one line, which says why nothing runs; then the machine is off."""
    lines = [line for line in machine.end() if line]
    assert len(lines) == 1, lines
    assert lines[0].startswith("weir: ") and expected in lines[0], lines


@pytest.mark.parametrize("gic", [2, 3])
def test_boot_without_image_says_so(boot, gic):
    check_refusal(boot(None, gic=gic), "system image")


GARBAGE = {
    "zeroes": bytes(4096),
    "text": b"weir" * 4096,
    "magic-only": b"\xd0\x0d\xfe\xed" * 64,
    "one-byte": b"x",
}


@pytest.mark.parametrize("content", GARBAGE)
def test_boot_with_garbage_for_an_image_says_so(boot, tmp_path, content):
    garbage = tmp_path / "garbage.dtb"
    garbage.write_bytes(GARBAGE[content])
    check_refusal(boot(garbage), "system image")


def test_boot_with_another_tree_for_an_image_says_so(boot, tmp_path):
    """A well-formed tree that is no system image."""
    import libfdt

    tree = libfdt.Fdt.create_empty_tree(1024)
    other = tmp_path / "other.dtb"
    other.write_bytes(bytes(tree.as_bytearray()))
    check_refusal(boot(other), "weir,system")


def test_a_cut_image_is_refused(boot, image, tmp_path):
    cut = tmp_path / "cut.dtb"
    cut.write_bytes(image("boot").read_bytes()[:-4096])
    check_refusal(boot(cut), "system image")


def test_the_harness_sees_a_machine_that_does_not_report(boot, image):
    """The same image, asked for a VM that it does not have."""
    lines = boot(image("boot")).end()
    with pytest.raises(Failure, match="nobody: no plan"):
        check_tap(lines, ["many", "nobody"])
