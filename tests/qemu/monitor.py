"""
QEMU's own view of a machine, by its monitor (QMP): whether it is off, and what its memory holds, for
machines whose console nobody can see; and what a hand could do to it.
"""

import json
import re
import shutil
import socket
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOAD = 0x40200000  # where Weir is on virt, by -kernel and in the tests
BYTES = 1 << 20
LINE = re.compile(rb"weir: ([ -~]{8,})[\0\r]")
STOPPED = "nothing is known that turns the machine off: it stops here"


class Monitor:
    """
    `options` are QEMU's, for the machine to be watched; if it is to `stay` it does not end when it turns
    itself off. To be used with `with`, from before the machine starts.
    """

    def __init__(self, load=LOAD, stay=True):
        self._load = load
        self._folder = Path(tempfile.mkdtemp(prefix="weir-"))
        self.options = ["-no-shutdown"] if stay else []
        self.options += ["-qmp", f"unix:{self._folder}/qmp,server=on,wait=off"]
        self._stream = None
        self._constants = LINE.findall((ROOT / "build/weir.bin").read_bytes())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._stream:
            self._stream.close()
        shutil.rmtree(self._folder)

    def connect(self, seconds=60):
        deadline = time.monotonic() + seconds
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(seconds)  # an answer's too: a QEMU that says nothing any more fails its test, and no other
        while True:
            try:
                client.connect(str(self._folder / "qmp"))
                break
            except OSError:
                assert time.monotonic() < deadline, "QEMU has no monitor"
                time.sleep(0.01)
        self._stream = client.makefile("rw")
        client.close()
        self._stream.readline()
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        self._stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._stream.flush()
        while True:
            answer = json.loads(self._stream.readline())
            if "event" not in answer:
                return answer["return"]

    def lines(self):
        """What Weir has said, as far as it still is in its memory, without "weir: "."""
        path = self._folder / "memory"
        self.ask("pmemsave", val=self._load, size=BYTES, filename=str(path))
        found = dict.fromkeys(LINE.findall(path.read_bytes()))
        return [text.decode() for text in found if text not in self._constants]

    def wait_until_over(self, seconds=60):
        """Until the machine is off or Weir says that it stops. Its lines, and whether it is off."""
        deadline = time.monotonic() + seconds
        self.connect(seconds)
        while True:
            off = self.ask("query-status")["status"] == "shutdown"
            lines = self.lines()
            if off or STOPPED in lines:
                return lines, off
            assert time.monotonic() < deadline, f"neither off nor stopped: {lines}"
            time.sleep(0.02)
