"""
The machine's watchdog. QEMU's virt has none, so its tree names a page of its memory for one, which this
side of the machine can see and write. QEMU's Raspberry Pi has the real one, which does not count: it
resets as soon as it is armed.
"""

import mmap
import struct
import time

import pytest

from test_refused import compile_image
from test_ways import BOARDS, RAM_BASE, Ram, board_name, tree  # noqa: F401

BLOCK = 0x4f000000
RSTC, WDOG = 0x1c, 0x24
SOURCE = """/dts-v1/;
/ {
	compatible = "weir,system";
	watchdog-ms = <200>;
	%s
	vms {
		busy { kernel = /incbin/("endless.bin"); memory-mib = <1>; cores = <0>; };
		short { kernel = /incbin/("boot.bin"); memory-mib = <1>; cores = <1>; };
	};
};
"""


def with_block(text):
    """In memory that is reserved, as the block of the Raspberry Pi is described."""
    return text.rstrip().removesuffix("};") + f"""
        reserved-memory {{ #address-cells = <2>; #size-cells = <2>; ranges;
            block@{BLOCK:x} {{ reg = <0 {BLOCK:#x} 0 0x1000>; }}; }};
        watchdog@{BLOCK:x} {{ compatible = "brcm,bcm2835-pm"; reg = <0 {BLOCK:#x} 0 0x1000>; }}; }};"""


class Block:
    def __init__(self, path):
        with open(path, "r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 4096, offset=BLOCK - RAM_BASE)

    def read(self, register):
        return struct.unpack_from("<I", self._memory, register)[0]

    def write(self, register, value):
        struct.pack_into("<I", self._memory, register, value)

    def wait_for_kick(self):
        self.write(WDOG, 0)
        deadline = time.monotonic() + 60
        while not self.read(WDOG):
            assert time.monotonic() < deadline, "nobody kicks"
            time.sleep(0.01)
        assert self.read(WDOG) == 0x5a000000 + 200 * 65536 // 1000


@pytest.mark.parametrize("board", BOARDS, ids=board_name)
@pytest.mark.parametrize("communicates", [False, True], ids=["idle", "communication"])
def test_it_is_kicked_with_cores_busy_and_idle_and_disarmed_at_the_end(
        boot, tree, tmp_path, board, communicates):  # noqa: F811
    board = dict(board, memory_mib=256)
    ram = Ram(tmp_path / "ram", [])
    source = SOURCE % ("communication-cores = <1>;" if communicates else "")
    if communicates:
        source = source.replace("cores = <1>; };", "cores = <0>; };")
    image = compile_image(tmp_path / "image.dtb", source)
    machine = boot(image, **board, extra=[*ram.options(), "-dtb", tree(with_block, **board)])
    machine.wait_for("^weir: 2 VMs on")
    block = Block(ram.path)
    machine.wait_for(r"^\[short\] # done")
    for _ in range(5):
        block.wait_for_kick()
        assert block.read(RSTC) == 0x5a000020
    machine.type("\x1dstop busy\n")
    machine.end()
    assert block.read(RSTC) == 0x5a000000


def test_arming_resets_the_raspberry_pi_of_qemu(boot, tmp_path):
    """
    Which then ends, by -no-reboot: no VM has run, and nobody has turned it off. But all are built, which takes as
    long as it takes.
    """
    machine = boot(compile_image(tmp_path / "image.dtb", SOURCE % ""), board="rpi4")
    lines = machine.end()
    assert lines[-1].startswith("weir: 2 VMs on 4 cores")
    assert not [line for line in lines if line.startswith("[") or "off" in line.split()]
