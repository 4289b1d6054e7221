"""
A QEMU machine that runs Weir: its console line by line, and what the guests on it report.

Nothing here waits for ever: a machine that prints nothing new for `patience` seconds, or that runs
for more than `limit` seconds in all, is a Hang, and QEMU is killed. Seconds in which its host gave it no
core do not count.
"""

import contextlib
import ctypes
import os
import pathlib
import queue
import re
import shlex
import signal
import subprocess
import threading
import time

# How a physical line says whose it is: "[vm] text" or "weir: text".
VM_LINE = re.compile(r"\[([a-z0-9-]+)\] ?(.*)")
# Two warnings of QEMU's are none: that nothing is left to count says only that every core sleeps; and of the
# Raspberry Pi's tree it disables the devices that it does not have.
TROUBLE = re.compile(r"^weir: (panic|fault):|^qemu-system-aarch64: (?!warning: (icount sleep|bcm2711 dtc: ))"
                     r"|^\[[a-z0-9-]+\] guest: ")
LAST_LINE = "weir: all VMs are off, powering off"


class Hang(AssertionError):
    """The machine said nothing, or went on, for too long."""


class Failure(AssertionError):
    """What the machine printed is not what the test asks for."""


PR_SET_PDEATHSIG = 1
# Looked up here: between fork and exec of a process with threads nothing may be looked up, or it may wait for ever for
# a lock that one of them had.
_prctl = ctypes.CDLL(None).prctl


def _die_with_parent():
    """QEMU must not outlive a test run that was killed."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def failing_disk(path, *rules):
    """
    Options of -drive for a raw image at `path` that fails as `rules` say, each a dict of what
    QEMU's block driver blkdebug takes for inject-error (or, with "new_state", for set-state).
    """
    options = {"file.driver": "blkdebug", "file.image.driver": "file",
               "file.image.filename": path, "cache": "writeback"}
    numbers = {"inject-error": 0, "set-state": 0}
    for rule in rules:
        kind = "set-state" if "new_state" in rule else "inject-error"
        for name, value in {"event": "none", **rule}.items():
            options[f"file.{kind}.{numbers[kind]}.{name}"] = value
        numbers[kind] += 1
    return options


def slow_disk(path, requests):
    """Options of -drive for a raw image at `path` that does so many requests in a second."""
    return {"file": path, "cache": "writeback", "throttling.iops-total": requests}


class Watch:
    """The seconds of a process: without those in which a thread of it could run and got no core, or all stood still."""

    STEP = 1.0  # what is longer, though nobody waited longer, is a host that stood still

    def __init__(self, pid):
        self._tasks = pathlib.Path(f"/proc/{pid}/task")
        self._at, self._delays = time.monotonic(), self.delays()

    def delays(self):
        """For each thread how long it has waited for a core; nothing if the kernel does not tell."""
        found = {}
        with contextlib.suppress(OSError):  # it has just ended
            for task in self._tasks.iterdir():
                with contextlib.suppress(OSError, IndexError, ValueError):
                    found[task.name] = int((task / "schedstat").read_text().split()[1]) / 1e9
        return found

    def passed(self):
        """
        Since it was asked last; asked for every STEP at least. Less than none: the kernel tells of a wait at its end.
        """
        now, delays = time.monotonic(), self.delays()
        waited = max((delay - self._delays.get(name, delay) for name, delay in delays.items()), default=0.0)
        seconds = min(now - self._at, self.STEP) - waited
        self._at, self._delays = now, delays
        return seconds

    def due(self):
        return time.monotonic() - self._at >= self.STEP


class _Part(str):
    """The last line as far as it has got."""


class Machine:
    """
    Runs `command`; the console goes to `log`, behind a first line that repeats the run.

    `allowed` are expressions for trouble (faults, panics) that this test provokes on purpose.
    `stdin` is another standard input than a pipe to type into, as subprocess has it.
    """

    def __init__(self, command, log, patience=120.0, limit=600.0, allowed=(),
                 stdin=subprocess.PIPE):
        self.lines = []
        self.part = ""  # of the line that has not ended
        self.status = None
        self._allowed = [re.compile(text) for text in allowed]
        self._patience, self._limit, self._moment = patience, limit, 0.5
        self._seconds = 0.0  # it runs
        self._queue = queue.Queue()
        self._log = open(log, "wb")
        self._log.write(shlex.join(map(str, command)).encode() + b"\n")
        self._process = subprocess.Popen(
            command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            preexec_fn=_die_with_parent)
        self._watch = Watch(self._process.pid)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        rest = b""
        while output := os.read(self._process.stdout.fileno(), 65536):
            self._log.write(output)
            self._log.flush()
            *lines, rest = (rest + output).split(b"\n")
            for line in lines:
                self._queue.put(line.decode(errors="replace").rstrip("\r"))
            if rest:
                self._queue.put(_Part(rest.decode(errors="replace")))
        if rest:
            self._queue.put(rest.decode(errors="replace"))
        self._queue.put(None)

    def line(self):
        """The next line; None when the machine is off. Raises Hang, or Failure at trouble."""
        while isinstance(line := self._next(), _Part):
            pass
        return line

    def _next(self):
        """The next line, or what there is of it."""
        line = self._wait()
        if line is None:
            self._queue.put(None)
            return None
        self.part = line if isinstance(line, _Part) else ""
        if self.part:
            return line
        self.lines.append(line)
        if TROUBLE.search(line) and not any(text.search(line) for text in self._allowed):
            # What follows a report of trouble within a moment explains it.
            raise Failure("\n".join([line, *self.listen(self._moment)[:20]]))
        return line

    def _wait(self):
        """What the reader says next."""
        silent = 0.0
        while True:
            try:
                line = self._queue.get(timeout=max(0.01, min(Watch.STEP, self._patience - silent)))
            except queue.Empty:
                line = self  # nothing
            if line is self or self._watch.due():
                seconds = self._watch.passed()
                silent = max(0.0, silent + seconds)
                self._seconds = max(0.0, self._seconds + seconds)
            if self._seconds >= self._limit:
                raise Hang(f"it goes on for {self._limit:.0f} s, after {self._last()}")
            if line is not self:
                return line
            if silent >= self._patience:
                raise Hang(f"nothing new for {silent:.0f} s after {self._last()}")

    def _last(self):
        return repr(self.lines[-1]) if self.lines else "the start"

    def listen(self, seconds):
        """The lines of the next moment, whatever they say."""
        lines, end = [], time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                line = self._queue.get(timeout=left)
            except queue.Empty:
                break
            if line is None:
                self._queue.put(None)
                break
            if not isinstance(line, _Part):
                lines.append(line)
        self.lines += lines
        return lines

    def wait_for(self, expression):
        """The first match among the lines to come. Raises Failure if the machine ends before."""
        while (line := self.line()) is not None:
            if match := re.search(expression, line):
                return match
        raise Failure(f"the machine ended without {expression!r}, after {self._last()}")

    def wait_for_part(self, expression):
        """The first match at the end of a line that has not ended: a prompt."""
        while (line := self._next()) is not None:
            if isinstance(line, _Part) and (match := re.search(f"(?:{expression})$", line)):
                return match
        raise Failure(f"the machine ended without {expression!r}, after {self._last()}")

    def type(self, text):
        """Types at the console."""
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def end(self):
        """Lines up to the end of the machine, which must turn itself off with status 0."""
        while self.line() is not None:
            pass
        self.status = self._process.wait(timeout=30)
        if self.status:
            raise Failure(f"QEMU ended with status {self.status} after {self._last()}")
        return self.lines

    def kill(self):
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()
        self._reader.join()
        self._process.stdout.close()
        self._log.close()


class Tap:
    """What one guest reports: the plan first, a line for each test, `# done` last."""

    RESULT = re.compile(r"(not )?ok (\d+)(?: -)?(?: (.*))?$")

    def __init__(self, name):
        self.name = name
        self.plan = None
        self.count = 0
        self.done = False
        self.wrong = []

    def line(self, text):
        if match := re.fullmatch(r"1\.\.(\d+)", text):
            self._plan(int(match[1]))
        elif match := self.RESULT.match(text):
            self._result(*match.groups())
        elif text.startswith("Bail out!"):
            self.wrong.append(text)
        elif text == "# done":
            self._check(not self.done, "`# done` twice")
            self.done = True

    def _plan(self, plan):
        self._check(self.plan is None, "a second plan: the guest started again")
        self._check(self.count == 0, "the plan comes after results")
        self.plan = plan

    def _result(self, failed, number, name):
        self.count += 1
        self._check(self.plan is not None, "a result before the plan")
        self._check(not self.done, "a result after `# done`")
        self._check(int(number) == self.count, f"result {number} where {self.count} should be")
        self._check(not failed, f"not ok {number} {name}")

    def _check(self, good, what):
        if not good:
            self.wrong.append(what)

    def end(self):
        """All that is wrong, now that nothing more can come."""
        if self.plan is None:
            return self.wrong + ["no plan"]
        if self.plan == 0:
            return self.wrong + ["the plan is empty"]
        if self.count != self.plan:
            self.wrong.append(f"{self.count} results of {self.plan}")
        if not self.done:
            self.wrong.append("ended early, without `# done`")
        return self.wrong


def check_tap(lines, reporters):
    """Judges the reports of the VMs named in `reporters`, all of them. Raises Failure."""
    taps = {name: Tap(name) for name in reporters}
    for line in lines:
        match = VM_LINE.fullmatch(line)
        if match and match[1] in taps:
            taps[match[1]].line(match[2])
    wrong = [f"{name}: {what}" for name, tap in taps.items() for what in tap.end()]
    if wrong:
        raise Failure("\n".join(wrong))
    return sum(tap.count for tap in taps.values())
