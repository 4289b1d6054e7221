"""
What the benchmarks' figures must keep: the limits of tests/bench/limits.json, goals, and other
hypervisors' figures. tests/bench/README.md says what each is.
"""

import json
import math
import os
import subprocess
from typing import NamedTuple, Optional

from weirlib.errors import Mistake

MARGIN = 1.02  # a limit above what was reached
UNLIMITED = "linux."  # rows of another's kernel, which is of any version: they have goals only


class Verdict(NamedTuple):
    """One row: `wrong` is empty if it keeps all it must."""

    name: str
    says: str
    wrong: str


def load(path: str, needed: tuple = ("goals", "limits"), kind: type = dict) -> dict:
    """A file of JSON: an object that has what is needed, and of that kind."""
    try:
        with open(path, encoding="utf-8") as file:
            held = json.load(file)
    except ValueError as error:
        raise Mistake(f"{path}: {error}") from None
    if not isinstance(held, dict) or not all(isinstance(held.get(key), kind) for key in needed):
        raise Mistake(f"{path}: needs " + " and ".join(f'"{key}"' for key in needed))
    return held


def goal_of(held: dict, name: str) -> Optional[float]:
    """A goal holds for the row of its name, or for all rows under it."""
    return held["goals"].get(name, held["goals"].get(name.rpartition(".")[0]))


def best_peer(peers: dict, name: str):
    """(figure, who) of the best hypervisor; None if none has this row. `native` is none."""
    figures = [(rows[name], who) for who, rows in peers["peers"].items()
               if who != "native" and name in rows]
    return min(figures, default=None)


def against_peer(figure: float, best) -> str:
    return f"{'beats' if figure < best[0] else 'does not beat'} {best[1]}: {best[0]}"


def judge(rows: list, held: dict, peers: dict) -> list:
    """A Verdict for each row, each limit and each figure of a peer, in this order."""
    verdicts = [judge_row(entry["name"], entry["figure"], held, peers) for entry in rows]
    measured = {entry["name"] for entry in rows}
    for name in held["limits"]:
        if name not in measured:
            verdicts.append(Verdict(name, f"limit {held['limits'][name]}", "there is no such row"))
    theirs = {name for who, figures in peers["peers"].items() if who != "native" for name in figures}
    for name in sorted(theirs - measured - set(held["limits"])):
        verdicts.append(Verdict(name, "a figure of a peer", "there is no such row"))
    return verdicts


def judge_row(name: str, figure: float, held: dict, peers: dict) -> Verdict:
    limit, goal, best = held["limits"].get(name), goal_of(held, name), best_peer(peers, name)
    says, wrong = f"{figure}", []
    if limit is None:
        wrong += [] if name.startswith(UNLIMITED) else ["no limit"]
    else:
        says += f", limit {limit}"
        if figure > limit:
            wrong.append("beyond its limit")
    if goal is not None:
        says += f", goal under {goal}"
        if figure >= goal:
            wrong.append("misses its goal")
    if best:
        says += f", {against_peer(figure, best)}"
        if goal is None and figure >= best[0]:
            wrong.append("does not beat every peer")
    return Verdict(name, says, ", ".join(wrong))


def made_of(rows: list, held: dict) -> dict:
    """The file as it should be for figures like these."""
    limits = {}
    for entry in rows:
        if entry["name"].startswith(UNLIMITED):
            continue
        figure = entry["figure"]
        step = 1 if figure == int(figure) else 10
        limit = math.floor(figure * MARGIN * step) / step
        limit = min(limit, goal_of(held, entry["name"]) or limit)
        limits[entry["name"]] = int(limit) if limit == int(limit) else limit
    return {**held, "limits": limits}


def save(path: str, held: dict) -> None:
    with open(path, "w", encoding="utf-8") as file:
        json.dump(held, file, indent=1)
        file.write("\n")


def history(path: str) -> list:
    """(commit, date, limits) of each commit that changed the file, the oldest first; none without git."""
    folder, name = os.path.split(os.path.abspath(path))

    def git(*words) -> str:
        return subprocess.run(["git", "-C", folder, *words], capture_output=True, text=True, check=True).stdout

    try:
        commits = [line.split() for line in git("log", "--reverse", "--format=%h %cs", "--", name).splitlines()]
        files = [(commit, date, git("show", f"{commit}:./{name}")) for commit, date in commits]
    except (OSError, subprocess.CalledProcessError):
        return []
    return [(commit, date, found) for commit, date, text in files if (found := limits_in(text))]


def limits_in(text: str) -> dict:
    """Empty for what was no file of limits, then."""
    try:
        found = json.loads(text).get("limits")
    except (ValueError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}
