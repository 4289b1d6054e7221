"""tools/carry: only a true copy passes, and whatever else happens has a line that says what."""

import hashlib
import importlib.machinery
import importlib.util
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE, COPY, SECTOR = 2048 * 512, 135168 * 512, 512

# A machine that copies as reader and writer do, then spoils what the test asks it to.
MACHINE = """\
#!/usr/bin/python3
import os, re, signal, struct, sys, time
disk = re.search(r"file=(.*?),cache=", " ".join(sys.argv))[1].replace(",,", ",")
assert sys.stdin.read() == ""
SOURCE, COPY = 2048 * 512, 135168 * 512
with open(disk, "r+b") as file:
    def get(at, count):
        file.seek(at)
        return file.read(count)
    def put(at, data):
        file.seek(at)
        file.write(data)
        file.flush()
    length = struct.unpack("<8sQ", get(SOURCE, 16).ljust(16, b"\\0"))[1]
    data = get(SOURCE, (1 + -(-length // 512)) * 512)
    def copy():
        put(COPY, data)
    print("weir: reader: started", flush=True)
    {spoil}
print("weir: all is off", end="", flush=True)
"""


@pytest.fixture
def folder(tmp_path):
    for name in ("reader.bin", "writer.bin"):
        (tmp_path / name).write_bytes(bytes(range(200)))
    (tmp_path / "weir.bin").write_bytes(bytes(56) + b"ARM\x64" + bytes(range(200)))
    subprocess.run([ROOT / "tools/weir", "image", ROOT / "configs/carry.dts", "-I", tmp_path,
                    "-o", tmp_path / "carry.dtb"], check=True)
    # Its last byte is not zero, or one that is missing would look like what a sector is filled up with.
    (tmp_path / "in put.bin").write_bytes(os.urandom(5320) + b"x")
    (tmp_path / "tmp").mkdir()
    return tmp_path


def command(folder, spoil, *words):
    machine = folder / "machine"
    machine.write_text(MACHINE.replace("{spoil}", "\n    ".join(spoil.splitlines())))
    machine.chmod(0o755)
    return [ROOT / "tools/carry", "--weir", "weir.bin", "--image", "carry.dtb",
            "--qemu", str(machine), *words]


def carry(folder, spoil="copy()", words=("in put.bin",)):
    env = dict(os.environ, TMPDIR=str(folder / "tmp"))
    done = subprocess.run(command(folder, spoil, *words), cwd=folder, env=env, text=True,
                          input="noise", capture_output=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr
    assert os.listdir(folder / "tmp") == []
    return done


def refused(folder, spoil="copy()", words=("in put.bin",)):
    """The one line of a run that fails."""
    done = carry(folder, spoil, words)
    assert done.returncode == 1
    assert "equal" not in done.stdout + done.stderr
    assert done.stderr.count("\n") == 1
    return done.stderr.rstrip("\n")


def test_a_true_copy_passes_with_one_summary_line(folder):
    done = carry(folder)
    digest = hashlib.sha256((folder / "in put.bin").read_bytes()).hexdigest()
    assert (done.returncode, done.stderr) == (0, "")
    first, second, summary = done.stdout.splitlines()
    assert (first, second) == ("weir: reader: started", "weir: all is off")
    assert re.fullmatch(r"carry: in put\.bin: 5321 bytes crossed from reader to writer, "
                        rf"SHA-256 {digest} equal, \d+\.\d s", summary)


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 64 << 20])
def test_every_size_up_to_64_mib_passes(folder, size):
    (folder / "sized").write_bytes(os.urandom(size))
    done = carry(folder, words=("sized", "--keep", "kept"))
    assert done.returncode == 0, done.stderr
    assert f"carry: sized: {size} bytes crossed" in done.stdout
    assert (folder / "kept").read_bytes() == (folder / "sized").read_bytes()


def test_more_than_64_mib_is_refused(folder):
    with open(folder / "big", "wb") as file:
        file.truncate((64 << 20) + 1)
    assert refused(folder, words=("big",)) == (
        "carry: big: has 67108865 bytes, at most 67108864 (64 MiB) can be carried")


def test_the_disk_image_is_laid_out_as_the_manifest_says(folder):
    data = (folder / "in put.bin").read_bytes()
    assert refused(folder, "pass", ("in put.bin", "--disk", "disk.img"))
    with open(folder / "disk.img", "rb") as file:
        # Both parts end at sector 268288; an SD card's size is a power of two.
        assert file.seek(0, os.SEEK_END) == 1 << 28
        file.seek(SOURCE)
        header = b"WEIRFILE" + (5321).to_bytes(8, "little")
        assert file.read(SECTOR) == header.ljust(SECTOR, b"\0")
        assert file.read(11 * SECTOR) == data.ljust(11 * SECTOR, b"\0")
        file.seek(COPY)
        assert not any(file.read(12 * SECTOR))
    assert (folder / "disk.img").stat().st_blocks < 100, "the image is not sparse"


def test_the_parts_are_where_the_image_says(folder):
    text = (ROOT / "configs/carry.dts").read_text()
    for old, new in (("<2048>", "<8>"), ("<135168>", "<100>"), ("<133120>", "<40>")):
        text = text.replace(old, new)
    (folder / "small.dts").write_text(text)
    subprocess.run([ROOT / "tools/weir", "image", "small.dts", "-I", folder, "-o", "carry.dtb"],
                   cwd=folder, check=True)
    refused(folder, "pass", ("weir.bin", "--disk", "disk.img"))
    data = (folder / "disk.img").read_bytes()
    assert len(data) == 256 * SECTOR and data[8 * SECTOR :].startswith(b"WEIRFILE")
    (folder / "larger").write_bytes(bytes(39 * SECTOR + 1))
    assert refused(folder, words=("larger",)) == (
        "carry: 19969 bytes do not fit into /disks/source and /disks/copy")


def test_an_old_copy_on_a_kept_disk_cannot_pass(folder):
    words = ("in put.bin", "--disk", "disk.img")
    assert carry(folder, words=words).returncode == 0
    assert refused(folder, "pass", words) == (
        "carry: in put.bin: the copy has no header: writer did not finish")


SPOILED = [
    ("pass", "the copy has no header: writer did not finish"),
    ("copy(); put(COPY, bytes(512))", "the copy has no header: writer did not finish"),
    ("copy(); put(COPY, b'WEIRDISK')",
     "the copy's header starts with b'WEIRDISK', not b'WEIRFILE'"),
    ("copy(); put(COPY + 100, b'x')", "the copy's header is not zero behind the length"),
    ("copy(); put(COPY + 8, struct.pack('<Q', 5320))",
     "the copy's last sector is not filled up with zeroes"),
    ("copy(); put(COPY + 8, struct.pack('<Q', 5120))",
     "the copy has 5120 bytes, the file 5321"),
    ("copy(); put(COPY + 8, struct.pack('<Q', 5322))",
     "the copy has 5322 bytes, the file 5321"),
    ("copy(); put(COPY + 8, struct.pack('<Q', 1 << 63))",
     "the copy claims 9223372036854775808 bytes, more than its part holds"),
    ("copy(); put(COPY + 512 + 5321, b'x')",
     "the copy's last sector is not filled up with zeroes"),
    ("copy(); file.truncate(COPY + 512 + 4096)", "the copy has 4096 bytes, the file 5321"),
    ("copy(); file.truncate(COPY)", "the copy has no header: writer did not finish"),
    ("copy(); sys.exit(3)", "QEMU ended with status 3"),
    ("copy(); os.kill(os.getpid(), 9)", "QEMU was ended by signal 9"),
]


@pytest.mark.parametrize("spoil, line", SPOILED)
def test_what_differs_is_told(folder, spoil, line):
    assert refused(folder, spoil) == f"carry: in put.bin: {line}"


@pytest.mark.parametrize("at", [0, 511, 512, 5320])
def test_a_single_wrong_byte_is_found(folder, at):
    data = (folder / "in put.bin").read_bytes()
    wrong = data[at] ^ 1
    assert refused(folder, f"copy(); put(COPY + 512 + {at}, bytes([{wrong}]))") == (
        f"carry: in put.bin: the copy differs from byte {at} on: "
        f"{wrong:#04x} instead of {data[at]:#04x}")


def test_damage_to_the_source_part_cannot_hide_damage_to_the_copy(folder):
    spoil = "put(SOURCE + 512, bytes(5)); data = get(SOURCE, len(data)); copy()"
    assert "the copy differs from byte" in refused(folder, spoil)


HANGS = {
    "silent": "time.sleep(60)",
    "silent, its console closed": "os.close(1); os.close(2); time.sleep(60)",
    "deaf to a polite kill": "signal.signal(15, signal.SIG_IGN); time.sleep(60)",
    "repeating itself": "while True: print('reader: 0 bytes', flush=True); time.sleep(0.1)",
    "in the middle of a line": "print('read', end='', flush=True); time.sleep(60)",
}


def machines(folder):
    """Those that run, or are not waited for."""
    words = [path / "cmdline" for path in pathlib.Path("/proc").iterdir() if path.name.isdecimal()]
    found = []
    for path in words:
        try:
            found += [path] if os.fsencode(folder / "machine") in path.read_bytes() else []
        except OSError:
            pass  # it has just ended
    return found


@pytest.mark.parametrize("name", HANGS)
def test_a_machine_that_hangs_is_ended(folder, name):
    line = refused(folder, HANGS[name], ("in put.bin", "--patience", "1"))
    assert line == "carry: the machine hangs: nothing new on its console for 1 s"
    assert machines(folder) == []


class SlowConsole:
    """A pipe and a clock: whoever waits for it long enough gets a line after 3 seconds."""

    def __init__(self, lines):
        self.now, self.lines = 0.0, lines
        reader, self.writer = os.pipe()
        self.file = os.fdopen(reader, "rb")

    def select(self, timeout):
        self.now += min(timeout, 3)
        if timeout < 3:
            return []
        if self.lines:
            os.write(self.writer, self.lines.pop(0))
        else:
            os.close(self.writer)
        return [self.file]


def test_a_machine_that_is_slow_but_alive_is_left_alone(monkeypatch):
    """It is told by a clock that does not go on while the host stands still."""
    loader = importlib.machinery.SourceFileLoader("carry", str(ROOT / "tools/carry"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("carry", loader))
    monkeypatch.syspath_prepend(ROOT / "tools")
    loader.exec_module(module)
    console = SlowConsole([b"%d bytes\n" % n for n in range(25)])
    monkeypatch.setattr(module.selectors.DefaultSelector, "select", lambda _, timeout: console.select(timeout))
    monkeypatch.setattr(module.time, "monotonic", lambda: console.now)
    monkeypatch.setattr(module, "show", lambda text: None)
    with console.file:
        assert module.pass_console_on(console.file, 4) == ""
    assert console.now == 26 * 3 and not console.lines


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_machine_and_removes_the_files(folder, number, status):
    env = dict(os.environ, TMPDIR=str(folder / "tmp"))
    spoil = "print(os.getpid(), flush=True); time.sleep(60)"
    # What a shell starts in the background has SIGINT ignored, and so would the tool.
    def heed():
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(command(folder, spoil, "in put.bin"), cwd=folder, env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          preexec_fn=heed) as tool:
        assert tool.stdout.readline() == "weir: reader: started\n"  # as soon as it is printed
        machine = int(tool.stdout.readline())
        tool.send_signal(number)
        _, errors = tool.communicate(timeout=30)
    assert tool.returncode == status
    assert "Traceback" not in errors
    assert os.listdir(folder / "tmp") == []
    with pytest.raises(ProcessLookupError):
        os.kill(machine, 0)


def test_odd_names_are_no_obstacle(folder):
    for name in ("-dash", "a,b:c", "a\nb", b"not-utf8-\xff"):
        path = os.fsencode(folder) + b"/" + os.fsencode(name)
        with open(path, "wb") as file:
            file.write(b"data")
        done = carry(folder, words=("--", name))
        assert done.returncode == 0 and done.stdout.count("\n") == 3, name
    done = carry(folder, words=("in put.bin", "--disk", "odd,name:x.img"))
    assert done.returncode == 0


@pytest.mark.parametrize("name, line", [
    ("", "carry: no file was named: make run INPUT=path"),
    ("none", "carry: none: No such file or directory"),
    ("tmp", "carry: tmp: is a directory: name a file"),
    ("fifo", "carry: fifo: is not a regular file: copy its content to one first"),
    ("/dev/zero", "carry: /dev/zero: is not a regular file: copy its content to one first"),
])
def test_what_cannot_be_carried_is_refused(folder, name, line):
    os.mkfifo(folder / "fifo")
    assert refused(folder, words=(name,)) == line


@pytest.mark.parametrize("line, told", [
    ("[writer] failed: write: I/O error", "writer failed: write: I/O error"),
    ("weir: fault: VM reader vCPU 0: data abort", "fault: VM reader vCPU 0: data abort"),
    ("weir: panic: exception at EL2", "panic: exception at EL2"),
])
def test_what_the_console_tells_of_a_failure_counts_whatever_the_copy(folder, line, told):
    spoil = f"copy(); print({line!r}, flush=True); print('[reader] failed: later')"
    assert refused(folder, spoil) == f"carry: in put.bin: {told}"


def test_a_full_disk_is_told_and_leaves_no_half_image(folder):
    limit = (1 << 20, 1 << 20)
    words = command(folder, "copy()", "in put.bin", "--disk", "new.img")
    done = subprocess.run(words, cwd=folder, text=True, capture_output=True, check=False,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    assert (done.returncode, done.stderr) == (1, "carry: new.img: File too large\n")
    assert not (folder / "new.img").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_refused(folder):
    (folder / "in put.bin").chmod(0)
    assert refused(folder) == "carry: in put.bin: Permission denied"


@pytest.mark.parametrize("words, line", [
    (["--disk", "in put.bin"], "carry: in put.bin: would be overwritten: name a new file"),
    (["--keep", "./in put.bin"], "carry: ./in put.bin: would be overwritten: name a new file"),
    (["--keep", "carry.dtb"], "carry: carry.dtb: would be overwritten: name a new file"),
    (["--disk", "/dev/null"], "carry: /dev/null: is not a regular file: name a new file"),
    (["--keep", "none/copy"],
     "none/copy: there is no such directory: make it first, or name another file"),
    (["--disk", "none/disk"],
     "none/disk: there is no such directory: make it first, or name another file"),
    (["--disk", "new", "--keep", "./new"], "carry: ./new: would be overwritten: name a new file"),
    (["--weir", "reader.bin"], "reader.bin: not the hypervisor: `make` builds build/weir.bin"),
    (["--weir", "a\nb"], "a\\nb: there is no such file: `make` builds Weir and its images"),
    (["--image", "none"], "none: there is no such file: `make` builds Weir and its images"),
    (["--weir", "none"], "none: there is no such file: `make` builds Weir and its images"),
    (["--image", "weir.bin"],
     "weir.bin: not a device-tree blob: make one with `tools/weir image`"),
    (["--qemu", "./none"], "./none: QEMU is not there: run tools/setup, or name it by --qemu"),
])
def test_wrong_options_are_told_before_anything_is_written(folder, words, line):
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert refused(folder, words=("in put.bin", *words)) == line
    for path, data in before.items():
        assert path.read_bytes() == data


@pytest.mark.parametrize("old, new, line", [
    ("copy {", "copie {", "carry.dtb: has no /disks/copy: use an image of configs/carry.dts"),
    ("sectors = <133120>;", "",
     "carry.dtb: /disks/source: sectors: is missing: this tool needs it"),
    ("first-sector = <2048>;", "device = <1>; first-sector = <2048>;",
     "carry.dtb: /disks/source: device: is not 0: this tool makes one disk only"),
])
def test_an_image_without_the_two_parts_is_refused(folder, old, new, line):
    text = (ROOT / "configs/carry.dts").read_text().replace(old, new)
    (folder / "other.dts").write_text(text.replace('disks = "copy"', 'disks = "source"'))
    subprocess.run([ROOT / "tools/weir", "image", "other.dts", "-I", folder, "-o", "carry.dtb"],
                   cwd=folder, check=True)
    assert refused(folder) == line


def test_the_options_of_the_board_reach_the_machine(folder):
    spoil = "copy()\nprint(' '.join(sys.argv[1:]), flush=True)"
    done = carry(folder, spoil, ("in put.bin", "--gic", "3", "--cores", "4", "--cpu", "max",
                                 "--memory-mib", "128", "--icount"))
    for part in ("gic-version=3", "-smp 4", "-cpu max,", "-m 128", "-icount", "-kernel weir.bin",
                 "-initrd carry.dtb", "bus=virtio-mmio-bus.0"):
        assert part in done.stdout


def test_a_reader_that_goes_away_is_no_traceback(folder):
    env = dict(os.environ, TMPDIR=str(folder / "tmp"))
    spoil = "time.sleep(0.5)\nfor n in range(9999): print('x' * 99)\ncopy()"
    with subprocess.Popen(command(folder, spoil, "in put.bin"), cwd=folder, env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tool:
        tool.stdout.close()
        errors = tool.stderr.read()
    assert tool.returncode == 1
    assert b"carry" not in errors and os.listdir(folder / "tmp") == []


def test_what_make_builds_is_found_from_any_folder(folder):
    shutil.copytree(ROOT / "tools", folder / "moved/tools")
    (folder / "moved/build/images").mkdir(parents=True)
    for path in ("build/weir.bin", "build/images/carry.dtb"):
        done = subprocess.run([folder / "moved/tools/carry", "in put.bin"], cwd=folder,
                              capture_output=True, text=True, check=False)
        assert done.stderr.startswith(f"{folder}/moved/{path}: there is no such file")
        (folder / "moved" / path).write_bytes(bytes(56) + b"ARM\x64")


def test_help_is_there():
    done = subprocess.run([ROOT / "tools/carry", "--help"], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0 and done.stdout.startswith("usage: carry")
