"""
What is wrong is refused, by one line with node, property, expectation and remedy; the others run. The
images are made past the checks of tools/weir.
"""

import re
import subprocess

import pytest

import mistakes
from conftest import ROOT, existing
from machine import LAST_LINE, check_tap

GUESTS = ROOT / "build/tests/guest"
# A guest that looks at all it was given.
GOOD = 'kernel = /incbin/("boot.bin"); memory-mib = <2>; vcpus = <2>;'
COMMUNICATES = re.compile(r"weir: core 1 communicates, for 2 vCPUs")  # those of "good"
BANNER = re.compile(r"weir: (\d+) VMs on \d+ cores, GICv\d, \d+ KiB for the hypervisor")


def compile_image(path, text):
    """Whatever dtc does not like about it."""
    path.with_suffix(".dts").write_text(text)
    existing(GUESTS / "boot.bin")
    subprocess.run(["dtc", "-q", "-f", "-I", "dts", "-O", "dtb", "-i", GUESTS, "-o", path,
                    path.with_suffix(".dts")], check=True, timeout=60)
    return path


def complaints(machine, vms):
    """
    What Weir printed besides the lines that it always prints, without "weir: ". So many VMs were not
    refused; the machine ended by itself, and "good" has done its work.
    """
    lines = machine.end()
    check_tap(lines, ["good"])
    mine = [line for line in lines if line.startswith("weir: ")]
    assert mine[-1] == LAST_LINE
    banner = [line for line in mine if BANNER.fullmatch(line)]
    assert [int(BANNER.fullmatch(line)[1]) for line in banner] == [vms]
    assert not [line for line in lines if not line.startswith(("weir: ", "["))]
    return [line.removeprefix("weir: ") for line in mine[:-1]
            if line not in banner and not COMMUNICATES.fullmatch(line)]


@pytest.mark.parametrize("number, source, wrong", [
    pytest.param(number, *pair, id=str(number))
    for number, pair in enumerate(mistakes.manifests(GOOD))])
def test_each_mistake_of_a_manifest_is_one_line(boot, tmp_path, number, source, wrong):
    image = compile_image(tmp_path / "image.dtb", source)
    lines = complaints(boot(image, cores=mistakes.CORES), 3)
    for (path, prop), mistake in wrong.items():
        start = f"manifest: {path}: "
        # A name that is too long is cut.
        mine = [line for line in lines if line.startswith((start, start[:10 + 6 + 32] + ": "))]
        assert len(mine) == 1, (path, mine)
        lines.remove(mine[0])
        assert f": {prop}: {mistake.line}" in mine[0], mine[0]
        assert re.fullmatch(r"[^:]*: [^:]+: [^:]+: .+; .+", mine[0]), mine[0]
    # What follows of it for others.
    crowded = ("/vms/crowded", "ports") in wrong
    assert lines == ["manifest: /channels/two: ends: not joined, VM crowded was refused; correct it",
                     "manifest: /channels/three: ends: not joined, VM crowded was refused; "
                     "correct it"] * crowded


# The largest and smallest that is allowed, of all that needs no large machine.
EDGES = {
    "least": "memory-kib = <64>; load-offset = <0>; vcpus = <1>; priority = <0>; budget-us = <1>; "
             "period-us = <1>; shared-kib = <0>; window-kib = <4>; ports = <1>; "
             "watchdog-ms = <1>;",
    "most": "vcpus = <8>; cores = <1>; priority = <7>; budget-us = <1250000>; "
            "period-us = <10000000>; window-kib = <737280>; ports = <8192>; "
            "watchdog-ms = <3600000>; upcall-ms = <3600000>; pmu;",
    "text": f'bootargs = "{"t" * 2047}"; vcpus = <8>; on-fault = "stop-machine"; '
            'rights = "console", "manage", "introspect", "store"; peers = "least", "most", "good";',
    "disks": 'disks = "right", "d1", "d2", "d3"; disks-read-only = "d4", "d5", "d6", "d7";',
    "a-name-with-31-bytes-and-digits": "",
    "exact": "memory-kib = <776>;",
}


def vm(name, text=""):
    """The source of a VM that turns itself off at once."""
    memory = "" if "memory-" in text else "memory-mib = <1>;"
    kernel = "" if "kernel =" in text else f"kernel = {mistakes.data(mistakes.KERNEL)};"
    return f"{name} {{ {kernel} {memory} {text} }};\n"


def test_what_is_just_allowed_is_no_mistake(boot, tmp_path):
    vms = f"good {{ {GOOD} }};\n" + "".join(vm(*pair) for pair in EDGES.items())
    text = mistakes.source("", vms=vms, disks=mistakes.OTHERS["disks"])
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(1 << 20))
    assert complaints(boot(compile_image(tmp_path / "image.dtb", text), disks=[disk]),
                      1 + len(EDGES)) == []



def test_memory_that_is_not_there_refuses_its_vm(boot, tmp_path):
    """The one that is too large, and not those behind it."""
    vms = [vm("large", "memory-mib = <512>;"), vm("fine", "memory-kib = <524288>;"),
           vm("small", "memory-mib = <2>;")]
    text = mistakes.source("", vms=f"good {{ {GOOD} }};\n" + "".join(vms))
    what = "the machine has not so much memory left in one piece; give less"
    assert complaints(boot(compile_image(tmp_path / "image.dtb", text), memory_mib=512), 2) == [
        f"manifest: /vms/large: memory-mib: {what}", f"manifest: /vms/fine: memory-kib: {what}"]


def test_a_tree_that_is_damaged_inside_refuses_its_vm(boot, tmp_path):
    """Its head is right: what is behind it is looked at when it is copied."""
    tree = mistakes.data(bytes.fromhex("d00dfeed 00000064") + bytes(92))
    text = mistakes.source("", vms=f"good {{ {GOOD} }};\n" + vm("bad", f"tree = {tree};"))
    lines = complaints(boot(compile_image(tmp_path / "image.dtb", text)), 1)
    assert len(lines) == 1 and re.fullmatch(
        r"manifest: /vms/bad: tree: is damaged \(libfdt says -\d+\); include what dtc -O dtb makes",
        lines[0])


def test_a_kernel_whose_pages_the_core_does_not_know_refuses_its_vm(boot, tmp_path):
    """A Cortex-A72 has none of 16 KiB. The tool is not asked: it does not know the core."""
    branch = (0x14000000 + 64 // 4).to_bytes(4, "little")  # over the header
    kernels = {f"flags-{flags}": branch + mistakes.flagged(flags)[4:] for flags in (0x08, 0x0a, 0x0c, 0x0e)}
    vms = [vm(name, f"kernel = {mistakes.data(kernel)};") for name, kernel in kernels.items()]
    text = mistakes.source("", vms=f"good {{ {GOOD} }};\n" + "".join(vms))
    assert complaints(boot(compile_image(tmp_path / "image.dtb", text), cpu="cortex-a72"), 4) == [
        "manifest: /vms/flags-12: kernel: has pages of 16 KiB, which the cores do not know; include one of 4 KiB"]


def test_a_disk_that_is_not_there_refuses_its_vm(boot, tmp_path):
    disks = """
        none { device = <1>; };
        behind { first-sector = <2048>; };
        long { first-sector = <2047>; sectors = <2>; };
        fits { first-sector = <2047>; sectors = <1>; };
        unused { device = <7>; };
        table { partition = <1>; };
    """
    vms = [vm("a", 'disks-read-only = "none";'), vm("b", 'disks = "fits", "behind";'),
           vm("c", 'disks = "long";'), vm("d", 'disks = "fits";'), vm("e", 'disks = "none";'),
           vm("f", 'disks = "table";')]
    text = mistakes.source("", vms=f"good {{ {GOOD} }};\n" + "".join(vms), disks=disks)
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(1 << 20))
    refused = "was refused; correct that"
    assert complaints(boot(compile_image(tmp_path / "image.dtb", text), disks=[disk]), 3) == [
        "manifest: /disks/none: device: 1 is not there, the machine has 1, numbered from 0; add a "
        "disk, or name another",
        f"manifest: /vms/a: disks-read-only: the disk none {refused}",
        "manifest: /disks/behind: first-sector: sectors 2048+0 are not all among the 2048 of "
        "device 0; lower it",
        f"manifest: /vms/b: disks: the disk behind {refused}",
        "manifest: /disks/long: sectors: sectors 2047+2 are not all among the 2048 of device 0; "
        "lower it",
        f"manifest: /vms/c: disks: the disk long {refused}",
        f"manifest: /vms/e: disks: the disk none {refused}",
        "manifest: /disks/table: partition: 1 of device 0 (virtio_mmio@a000000): there is no partition table, for "
        "sector 0 does not end in 55 aa; its requests fail"]


def test_a_device_that_cannot_be_given_refuses_its_vm(boot, tmp_path):
    devices = {
        "a": ("/pl032@9010000", "is no path or alias in the machine's tree"),
        "b": ("/pl011@9000000", "is in use by the hypervisor"),
        "c": ("/intc@8000000", "is in use by the hypervisor"),
        "d": ("/fw-cfg@9020000", "may access memory by itself, and the VM has no dma-unsafe"),
        "e": ("/flash@0", "has more registers than 3 times 256 KiB, or beyond 512 GiB"),
        "f": ("/virtio_mmio@a000000", "is in use by the hypervisor"),
        "g": ("/timer", "has no registers at an address of its own"),
        "h": ("/pl031@9010000", "is given to taker"),
    }
    vms = [vm("taker", 'devices = "/pl031";')]
    vms += [vm(name, f'devices = "{path}";') for name, (path, _) in devices.items()]
    text = mistakes.source("", vms=f"good {{ {GOOD} }};\n" + "".join(vms))
    lines = complaints(boot(compile_image(tmp_path / "image.dtb", text)), 2)
    assert sorted(lines) == [f"manifest: /vms/{name}: devices: {path} {why}; name another"
                             for name, (path, why) in devices.items()]


ROOTS = {
    "core": ("communication-cores = <2>;",
             ["communication-cores: there is no core 2; the machine has 2, numbered from 0"]),
    "all": ("communication-cores = <0 1>;",
            ["communication-cores: leaves no core for the VMs, so it is ignored; name fewer"]),
    "twice": ("communication-cores = <1 1>;",
              ["communication-cores: 1 is named twice; name it once"]),
    "text": ('communication-cores = "zero";',
             ["communication-cores: has 5 bytes; write numbers"]),
    "no-watchdog": ("watchdog-ms = <15000>;",
                    ["watchdog-ms: this machine has no watchdog that is known here; leave it out"]),
    "watchdog": ("watchdog-ms = <99>;",
                 ["watchdog-ms: 99 is out of range (100 to 15000); give milliseconds"]),
    "flag": ("stay = <1>;", ["stay: has a value; write the name only"]),
    "unknown": ("stey; channel { };", ["stey: no such property; correct or remove it",
                                       "channel: no such node, it is ignored; correct or remove it"]),
}


@pytest.mark.parametrize("name", ROOTS)
def test_a_mistake_of_the_root_is_one_line_and_refuses_nobody(boot, tmp_path, name):
    text, expected = ROOTS[name]
    text = mistakes.source(text, vms=f"good {{ {GOOD} }};")
    lines = complaints(boot(compile_image(tmp_path / "image.dtb", text)), 1)
    assert lines == [f"manifest: /{line}" if line.startswith("channel:") else f"manifest: /: {line}"
                     for line in expected]


def test_a_core_that_runs_no_guests_is_refused(boot, tmp_path):
    text = mistakes.source("communication-cores = <1>;",
                           vms=f"good {{ {GOOD} }};\n" + vm("bad", "cores = <0 1>;"))
    assert complaints(boot(compile_image(tmp_path / "image.dtb", text)), 1) == [
        "manifest: /vms/bad: cores: 1 is a communication core; name others"]


def test_more_than_there_is_room_for_is_refused(boot, tmp_path):
    """The last ones of each group; a VM that is not taken is nobody's peer."""
    vms = "".join(vm(f"v{n}", "memory-kib = <1024>;") for n in range(65))
    channels = "".join(f'c{n} {{ ends = "good", "v{n % 60}"; }};\n' for n in range(8193))
    disks = "".join(f"d{n} {{ }};\n" for n in range(513))
    text = mistakes.source("", vms=f"good {{ {GOOD} ports = <8192>; }};\n" + vms, channels=channels,
                           disks=disks)
    text = text.replace("memory-kib = <1024>;", "memory-kib = <1024>; ports = <200>;")
    remedy = "the last ones are refused: remove some"
    assert complaints(boot(compile_image(tmp_path / "image.dtb", text)), 64) == [
        f"manifest: /disks: has 513 nodes (at most 512); {remedy}",
        f"manifest: /vms: has 66 nodes (at most 64); {remedy}",
        f"manifest: /channels: has 8193 nodes (at most 8192); {remedy}"]


WHOLE = {
    "no-compatible": ('/dts-v1/;\n/ { vms { }; };', "/: compatible: expected \"weir,system\"; make the "
                      "image by tools/weir"),
    "other-compatible": ('/dts-v1/;\n/ { compatible = "weir,sys"; };', "/: compatible: expected "
                         "\"weir,system\"; make the image by tools/weir"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_no_system_image_is_one_line(boot, tmp_path, name):
    text, line = WHOLE[name]
    machine = boot(compile_image(tmp_path / "image.dtb", text))
    assert [text for text in machine.end() if text] == [f"weir: manifest: {line}"]


@pytest.mark.parametrize("vms", ["", vm("bad", "vcpus = <0>;")], ids=["none", "wrong"])
def test_without_a_vm_that_is_right_the_machine_is_off(boot, tmp_path, vms):
    machine = boot(compile_image(tmp_path / "image.dtb", mistakes.source("", vms=vms)))
    first = ("/vms/bad: vcpus: 0 is out of range (1 to 16); 1 is the default" if vms else
             "/vms: has no VM; write /vms/NAME with a kernel and memory-mib")
    assert [line for line in machine.end() if line] == [
        f"weir: manifest: {first}", "weir: no VM to run: the lines above say why"]


def test_twins_and_names_that_no_terminal_should_see_are_refused(boot, tmp_path):
    """What dtc would not write: names of the same length take the place of others."""
    vms = "".join([vm("twin-a"), vm("twin-b"), vm("props", "ports = <1>; portz = <2>;"),
                   vm("newline-x"), vm("wanderer", 'peers = "escape-x";')])
    text = mistakes.source("", vms=f"good {{ {GOOD} }};\n" + vms,
                           channels='pair-a { ends = "good", "twin-a"; };\n'
                                    'pair-b { ends = "good", "twin-a"; };',
                           disks="part-a { }; part-b { };").replace("};\n};", "};\n\tdiskz { };\n};")
    blob = compile_image(tmp_path / "image.dtb", text).read_bytes()
    for old, new in {b"twin-b": b"twin-a", b"portz": b"ports", b"pair-b": b"pair-a",
                     b"part-b": b"part-a", b"diskz": b"disks", b"newline-x": b"newline\n\r",
                     b"escape-x": b"\033[2Jgone"}.items():
        assert blob.count(old + b"\0") == 1 and len(old) == len(new)
        blob = blob.replace(old + b"\0", new + b"\0")
    (tmp_path / "image.dtb").write_bytes(blob)
    allowed = "use up to 31 of a-z, 0-9 and '-', a letter first"
    lines = complaints(boot(tmp_path / "image.dtb"), 2)
    assert lines == [
        "manifest: /disks: stands twice, the second is ignored; make one of the two",
        "manifest: /disks/part-a: name: stands twice; give each disk its own",
        "manifest: /vms/twin-a: name: stands twice; give each VM its own",
        "manifest: /vms/props: ports: stands twice; write it once",
        f"manifest: /vms/newline??: name: is not allowed; {allowed}",
        "manifest: /vms/wanderer: peers: there is no VM ?[2Jgone; name nodes of /vms",
        "manifest: /channels/pair-a: name: stands twice; give each channel its own"]
