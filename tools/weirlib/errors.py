"""How the tools end: one line for each mistake, never a traceback."""

import os
import signal
import sys


class Mistake(Exception):
    """What the user can put right. The text is one line, or one line for each mistake."""


def printable(text: str) -> str:
    """A message is one line, whatever a file is called or a manifest says."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


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
