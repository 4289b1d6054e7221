"""The most that a machine may have: 8 cores, 64 VMs, 16 vCPUs; and what EL2 needs for each."""

import pathlib
import re

import pytest

from machine import LAST_LINE, check_tap
from test_refused import compile_image, complaints
from test_ways import VMS

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOKEN = ROOT / "build/tests/guest/token.bin"
BOOT = ROOT / "build/tests/guest/boot.bin"


# ---- All that there may be ----

def ring(count):
    """Each VM is joined to the next, and the last to the first."""
    vms = "".join(f'v{n} {{ kernel = /incbin/("{TOKEN}"); memory-mib = <1>; shared-kib = <64>; '
                  f'window-kib = <64>; bootargs = "number={n} count={count}"; }};\n' for n in range(count))
    links = "".join(f'l{n:02} {{ ends = "v{n}", "v{(n + 1) % count}"; }};\n' for n in range(count))
    return VMS.replace("\n\t};\n};", "\n\t};\n\tchannels { " + links + "};\n};") % vms


def test_64_vms_on_8_cores_reach_each_other(boot, tmp_path):
    machine = boot(compile_image(tmp_path / "ring.dtb", ring(64)), gic=3, cores=8)
    machine.wait_for(r"^weir: 64 VMs on 8 cores")
    lines = machine.end()
    check_tap(lines, [f"v{n}" for n in range(64)])
    assert LAST_LINE in lines


@pytest.mark.parametrize("gic, most", [(2, 8), (3, 16)])
def test_a_vm_with_too_many_vcpus_is_refused(boot, tmp_path, gic, most):
    """The others run; `make test` boots as many as there may be in vcpus_8.dts and vcpus_16.dts."""
    vms = "".join(f'{name} {{ kernel = /incbin/("{BOOT}"); memory-mib = <2>; vcpus = <{vcpus}>; }};\n'
                  for name, vcpus in (("good", 2), ("bad", most + 1)))
    said = {8: "9 are more than the 8 of a GICv2; lower it", 16: "17 is out of range (1 to 16); 1 is the default"}[most]
    assert complaints(boot(compile_image(tmp_path / "image.dtb", VMS % vms), gic=gic), 1) == [
        f"manifest: /vms/bad: vcpus: {said}"]


# ---- What it costs ----

def table():
    """KiB for a VM, more for one that shares, for a vCPU more, bytes for a port more: the table of core/README.md."""
    text = (ROOT / "core/README.md").read_text()
    return [int(number) for number in re.findall(r"^\| (?:VM|vCPU|port)[^|]*\| (\d+) ", text, re.M)]


@pytest.fixture
def hypervisor_bytes(boot, tmp_path):
    """
    hypervisor_bytes(count, properties): what the line says that Weir prints at boot, with so many VMs. NEXT in the
    properties of one is the name of the next.
    """
    def measure(count, properties=""):
        vms = "".join(f'v{n} {{ kernel = /incbin/("{BOOT}"); memory-mib = <1>; '
                      f'{properties.replace("NEXT", f"v{(n + 1) % count}")} }};\n' for n in range(count))
        machine = boot(compile_image(tmp_path / "image.dtb", VMS % vms), gic=3)
        line = machine.wait_for(rf"^weir: {count} VMs on .* (\d+) KiB for the hypervisor")
        return int(line[1]) * 1024
    return measure


def test_the_table_of_memory_is_true(hypervisor_bytes):
    """Of many, for what one takes are whole pages."""
    one, many = hypervisor_bytes(1), hypervisor_bytes(33)
    share = (hypervisor_bytes(33, 'peers = "NEXT";') - many) / 33
    vcpu = (hypervisor_bytes(33, "vcpus = <4>;") - many) / (33 * 3)
    port = (hypervisor_bytes(1, "ports = <8192>;") - one) / (8192 - 128)
    assert [round((many - one) / 32 / 1024), round(share / 1024), round(vcpu / 1024), round(port)] == table()
