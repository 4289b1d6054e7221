"""
How long a test goes on that could go on for ever: its usual length in `make test`, its long one in soak
mode (`make soak`, `tests/run --soak`), or as long as SOAK says: a time (`90s`, `30m`, `4h`), a count
(`10000`) or one of each (`10000,4h`). Whatever such a test does at random, it does from one seed, which
soak mode draws and prints: SEED=that repeats the run. Without soak mode the seed is the same each time.

Tests in Python take the fixture `soak` (plugin.py); programs read the variables of environment(), in C
by tests/host/soak.h.
"""

import random
import re
from typing import NamedTuple, Optional

SECONDS = {"s": 1, "m": 60, "h": 3600}
USUAL_SEED = 1
LONGEST = 24 * 3600.0  # what has not ended by itself is stopped then


class Soak(NamedTuple):
    on: bool = False
    asked_seconds: Optional[float] = None
    asked_count: Optional[int] = None
    seed: int = USUAL_SEED

    def seconds(self, usual, long):
        """For how many seconds: `usual` in make test, `long` in soak mode if SOAK says no time."""
        if not self.on:
            return usual
        return long if self.asked_seconds is None else self.asked_seconds

    def count(self, usual, long):
        """How many times: `usual` in make test, `long` in soak mode if SOAK says no count."""
        if not self.on:
            return usual
        return long if self.asked_count is None else self.asked_count

    def limit(self, usual):
        """After how many seconds a machine or program is killed."""
        return max(LONGEST, 2 * (self.asked_seconds or 0)) if self.on else usual

    def environment(self):
        """What a program is told; without WEIR_SOAK it is not soak mode."""
        told = {"WEIR_SEED": str(self.seed)}
        if self.on:
            told["WEIR_SOAK"] = "1"
            told["WEIR_LIMIT_SECONDS"] = f"{self.limit(0):.0f}"
        if self.asked_seconds is not None:
            told["WEIR_SOAK_SECONDS"] = f"{self.asked_seconds:.0f}"
        if self.asked_count is not None:
            told["WEIR_SOAK_COUNT"] = str(self.asked_count)
        return told


def parse(amount, seed=None):
    """`amount`: None outside soak mode, "" for each test's own long length. Raises ValueError."""
    if amount is None:
        return Soak(seed=USUAL_SEED if seed is None else seed)
    seconds, count = None, None
    for word in filter(None, amount.split(",")):
        match = re.fullmatch(r"([0-9]+)([smh]?)", word)
        if not match or not int(match[1]):
            raise ValueError(f"{word!r} is no time (90s, 30m, 4h) and no count (10000)")
        if match[2]:
            seconds = float(match[1]) * SECONDS[match[2]]
        else:
            count = int(match[1])
    return Soak(True, seconds, count, random.SystemRandom().getrandbits(32) if seed is None else seed)
