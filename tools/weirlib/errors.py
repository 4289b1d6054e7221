"""How the tools end: one line for each mistake, never a traceback."""

import os
import signal
import subprocess
import sys


class Mistake(Exception):
    """What the user can put right. The text is one line, or one line for each mistake."""


def printable(text: str) -> str:
    """A message is one line, whatever a file is called or a manifest says."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def check_writable(path: str) -> None:
    """Raises Mistake if no file can be made there, so that nothing is begun in vain."""
    name, folder = printable(path), os.path.dirname(path) or "."
    if os.path.isdir(path) or not os.path.basename(path):
        raise Mistake(f"{name}: is a directory: name a file")
    if not os.path.isdir(folder):
        raise Mistake(f"{name}: there is no such directory: make it first, or name another file")
    if not os.access(path if os.path.exists(path) else folder, os.W_OK):
        raise Mistake(f"{name}: cannot be written: name another file")


def output_of(*command: str) -> str:
    """What a program prints; a Mistake if it is not there, or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise Mistake(f"{printable(str(command[0]))}: {error.strerror}") from None
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
        raise Mistake(printable(f"{' '.join(map(str, command))}: {said}"))
    return done.stdout


def _describe(error: OSError) -> str:
    what = error.strerror or str(error)
    return printable(f"{error.filename}: {what}" if error.filename else what)


def _stop(signum: int, frame: object) -> None:
    raise SystemExit(128 + signum)


def run_main(tool: str, main) -> None:
    """Runs main() and leaves with its status."""
    # A polite kill must run the `finally` blocks: they end QEMU and remove temporary files.
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGHUP, _stop)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # a file name need not be valid UTF-8
    try:
        status = main()
        sys.stdout.flush()
    except Mistake as error:
        print(error, file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        print(f"{tool}: interrupted", file=sys.stderr)
        status = 130
    except BrokenPipeError:
        # Nobody reads what we print any more; the interpreter would complain on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except OSError as error:
        print(f"{tool}: {_describe(error)}", file=sys.stderr)
        status = 1
    sys.exit(status)
