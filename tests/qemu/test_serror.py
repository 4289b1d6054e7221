"""
SErrors in EL2. QEMU raises none, so what a core does when it takes one is done to it by QEMU's debugger
interface: the three registers, PSTATE, and where the vector is. DDI 0487 D1.3.1.
"""

import re
import socket
import subprocess
import time

import pytest

from conftest import ROOT
from machine import LAST_LINE
from test_refused import compile_image

SOURCE = """/dts-v1/;
/ {
	compatible = "weir,system";
	vms {
		one { kernel = /incbin/("endless.bin"); memory-mib = <1>; cores = <0>; };
		two { kernel = /incbin/("endless.bin"); memory-mib = <1>; cores = <0>; };
	};
};
"""
SYNDROME = 0xbe000011
FAULT = r"^weir: fault: VM (one|two) vCPU 0: "
PC, PSTATE = 32, 33
DAIF = 0xf << 6
# Of EL2, from x0.
MSR_SPSR, MSR_ELR, MSR_ESR = (bytes.fromhex(word)[::-1] for word in ("d51c4000", "d51c4020", "d51c5200"))
SERROR_VECTOR = 0x380  # current EL with SP_ELx


class Debugger:
    """QEMU's end of the debugger protocol."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        deadline = time.monotonic() + 60
        while self._socket.connect_ex(str(path)):
            assert time.monotonic() < deadline, "QEMU has no debugger interface"
            time.sleep(0.01)
        self._stream = self._socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stream.close()
        self._socket.close()

    def send(self, text):
        self._socket.sendall(b"+$%s#%02x" % (text.encode(), sum(text.encode()) & 0xff))

    def ask(self, text):
        self.send(text)
        while self._stream.read(1) != b"$":
            pass
        answer = b""
        while (byte := self._stream.read(1)) != b"#":
            answer += byte
        self._stream.read(2)
        return answer.decode()

    def do(self, text):
        assert self.ask(text) == "OK", text

    def run_to(self, address):
        self.do(f"Z1,{address:x},4")
        assert self.ask("c").startswith("T")
        self.do(f"z1,{address:x},4")
        assert self.get(PC) == address

    def get(self, register):
        return int.from_bytes(bytes.fromhex(self.ask(f"p{register:x}")), "little")

    def set(self, register, value):
        self.do(f"P{register:x}={value.to_bytes(8 if register <= PC else 4, 'little').hex()}")

    def execute(self, word, x0):
        """One instruction in place of the next one, from that x0: what is in x0 behind it."""
        before, there = self.get(0), self.get(PC)
        instead = self.ask(f"m{there:x},4")
        self.set(0, x0)
        self.do(f"M{there:x},4:{word.hex()}")
        assert self.ask("s").startswith("T")
        self.do(f"M{there:x},4:{instead}")
        after = self.get(0)
        self.set(PC, there)
        self.set(0, before)
        return after

    def take_serror(self, vectors):
        pstate, there = self.get(PSTATE), self.get(PC)
        for word, value in (MSR_SPSR, pstate), (MSR_ELR, there), (MSR_ESR, SYNDROME):
            self.execute(word, value)
        self.set(PSTATE, pstate | DAIF)
        self.set(PC, vectors + SERROR_VECTOR)


@pytest.fixture
def symbol():
    nm = subprocess.run(["nm", ROOT / "build/weir.elf"], check=True, capture_output=True, text=True).stdout
    return lambda name: int(re.search(rf"^(\w+) \w {name}$", nm, re.M)[1], 16)


def interrupted(boot, tmp_path, symbol, place, back=0, **board):
    """The machine, when its core has taken an SError at that place; and, masking others, got back to another."""
    path = tmp_path / "debugger"
    machine = boot(compile_image(tmp_path / "image.dtb", SOURCE), cores=1, **board,
                   extra=["-gdb", f"unix:{path},server=on,wait=off"])
    machine.wait_for(r"^\[two\]")
    with Debugger(path) as debugger:
        debugger.ask("?")
        debugger.run_to(place)
        debugger.take_serror(symbol("vectors"))
        if back:
            debugger.run_to(back)
            assert debugger.get(PSTATE) & DAIF == DAIF
        debugger.send("D")
    return machine


# The instructions at which it may be taken, and the one behind.
@pytest.mark.parametrize("offset", [0, 4, 8])
@pytest.mark.parametrize("board", [dict(cpu="cortex-a72", gic=2), dict(cpu="max", gic=3)],
                         ids=lambda board: board["cpu"])
def test_what_a_vcpu_leaves_behind_ends_its_vm_and_no_other(boot, tmp_path, symbol, board, offset):
    machine = interrupted(boot, tmp_path, symbol, symbol("serror_window") + offset, symbol("answer_true"),
                          allowed=[FAULT], **board)
    guilty = machine.wait_for(FAULT + "it caused an asynchronous error of the memory system$")[1]
    where = machine.wait_for(FAULT + rf"SError PC (\w+) PSTATE \w+ ESR {SYNDROME:08x}$")
    assert where[1] == guilty and 0x40000000 <= int(where[2], 16) < 0x40100000
    other = "two" if guilty == "one" else "one"
    for _ in range(100):
        assert machine.wait_for(r"^\[(\w+)\]")[1] == other
    machine.type(f"\x1dstop {other}\n")
    assert machine.end()[-1] == LAST_LINE


def test_anywhere_else_in_el2_it_is_a_panic(boot, tmp_path, symbol):
    machine = interrupted(boot, tmp_path, symbol, symbol("cpu_take_serror"), allowed=["weir: panic: "])
    machine.wait_for(rf"^weir: panic: exception at EL2: vector 7 ESR {SYNDROME:08x} "
                     rf"PC {symbol('cpu_take_serror'):x} FAR \w+$")
