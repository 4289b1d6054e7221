"""A manifest without mistakes, the files that it includes, and tools/weir on it: for test_weir.py and test_weir_check.py."""

import pathlib
import subprocess
import sys

import libfdt
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests")]

# Line numbers below count from the first line of this text.
GOOD = """\
/dts-v1/;
/ {
	compatible = "weir,system";
	communication-cores = <3>; watchdog-ms = <15000>;
	vms {
		reader {
			kernel = /incbin/("raw.bin");
			memory-mib = <4>;
			cores = <0>;
			peers = "writer";
			rights = "console", "manage";
			disks-read-only = "source";
			on-fault = "restart";
			budget-us = <400>;
			period-us = <1000>;
			upcall-ms = <250>;
			pmu;
		};
		writer {
			kernel = /incbin/("Image");
			ramdisk = /incbin/("ramdisk.bin");
			bootargs = "console=ttyAMA0 quiet";
			memory-kib = <8192>;
			load-offset = <0x80000>;
			vcpus = <2>;
			cores = <1 2>;
			priority = <7>;
			shared-kib = <512>;
			window-kib = <1024>;
			ports = <64>;
			disks = "copy";
			watchdog-ms = <1000>;
		};
	};
	channels {
		file {
			ends = "reader", "writer";
		};
	};
	disks {
		source {
			device = <0>;
			first-sector = <2048>;
			sectors = <100>;
		};
		copy {
			partition = <2>;
		};
	};
};
"""


def image_header(text_offset, image_size):
    head = bytearray(64)
    head[8:16] = text_offset.to_bytes(8, "little")
    head[16:24] = image_size.to_bytes(8, "little")
    head[56:60] = b"ARM\x64"
    return bytes(head)


RAW = bytes(range(256)) * 20
FILES = {
    "raw.bin": RAW,
    "Image": image_header(0x200000, 0x10000) + bytes(4000),
    "huge": image_header(0, 0x800000) + bytes(4000),
    "ramdisk.bin": b"\x1f\x8b" + bytes(5000),
    "gzip": b"\x1f\x8b\x08" + bytes(4000),
    "elf": b"\x7fELF" + bytes(4000),
    "zimg": b"MZ\0\0zimg" + bytes(4000),
    "empty": b"",
    "tree.dtb": b"\xd0\x0d\xfe\xed\0\0\x10\0" + bytes(100),
    "own.dtb": bytes(libfdt.Fdt.create_empty_tree(4097).as_bytearray()),
    "broken.dtb": b"\xd0\x0d\xfe\xed\0\0\0\x64" + bytes(92),
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "files").mkdir()
    for name, data in FILES.items():
        (tmp_path / "files" / name).write_bytes(data)
    return tmp_path


def weir(folder, *words, env=None):
    command = [ROOT / "tools/weir", *words]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return done


NOT_YET = ": accepted, but this version does not act on it"


def check(folder, text, *words):
    """The mistakes; what is accepted without effect is none."""
    (folder / "m.dts").write_text(text)
    done = weir(folder, "check", "m.dts", "-I", "files", *words)
    lines = [line for line in done.stderr.splitlines() if not line.endswith(NOT_YET)]
    assert done.returncode == (1 if lines else 0) and done.stdout == ""
    return lines


def edit(old, new):
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


def vms(count):
    nodes = "".join(f'v{n} {{ kernel = /incbin/("raw.bin"); memory-mib = <1>; }};\n'
                    for n in range(count))
    return '/dts-v1/;\n/ { compatible = "weir,system"; vms {\n' + nodes + "}; };\n"
