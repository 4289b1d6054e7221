"""
The benchmarks' page: one file of HTML that needs nothing else, also well-formed as XML. Bars beside other
hypervisors, throughput against the size of records, every row, and how the committed limits came down.
"""

import math
import re
from html import escape

from . import accesses, limits

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
body { color: #1c2530; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr)); gap: 1.1rem 2rem; }
figure { margin: 0; } figcaption { font-weight: 600; }
.scroll { overflow-x: auto; } svg { display: block; width: 100%; height: auto; }
svg text { font-size: 11px; fill: currentColor; }
.weir, .point { fill: #1769aa; } .peer { fill: #a9b4c0; }
.line { fill: none; stroke: #1769aa; stroke-width: 1.5; } .axis { stroke: #a9b4c0; stroke-width: .6; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
td, th { text-align: right; padding: .15rem .6rem; white-space: nowrap; border-bottom: 1px solid #a9b4c066; }
th:first-child { text-align: left; font-weight: 400; }
@media (prefers-color-scheme: dark) {
 body { color: #dde3ea; background: #14191f; } .weir, .point { fill: #5db0ee; } .line { stroke: #5db0ee; }
 .peer, .axis { fill: #5a6672; stroke: #5a6672; }
}
"""
# Rows that move records, by their names' last number: ring.record64, page_ring.64k.
RECORDS = re.compile(r"(?:ring|page_ring|raw)\.[a-z_]*?(\d+)(k?)")
WIDTH = 320  # of a figure in the grid
LETTER = 6  # a letter's width, about


def page(result: dict, held: dict, peers: dict, history: list) -> str:
    rows = result["rows"]
    body = [
        "<h1>What Weir costs</h1>",
        f"<p>Weir {escape(result['weir'])}, QEMU {escape(result['qemu'])}, {escape(result['cpu'])}, "
        f"GICv{result['gic']}. Executed instructions; fewer is better. Where samples differ, the figure is their "
        "median or the least of them, as all rows say. tests/bench/README.md says what each row is and how it is "
        "counted.</p>",
        "<h2>Beside other hypervisors</h2>", beside_peers(rows, peers),
        "<h2>Throughput against record size</h2>", throughput(rows),
        "<h2>All rows</h2>", table(rows, held, peers),
        "<h2>History of the limits</h2>", limits_over_time(history),
    ]
    return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
            '<meta name="viewport" content="width=device-width, initial-scale=1"/><title>What Weir costs</title>'
            f"<style>{STYLE}</style></head><body>\n" + "\n".join(body) + "\n</body></html>\n")


# ---- SVG -----------------------------------------------------------------------------------------


def svg(width, height, parts: list, told: str) -> str:
    """`told` is for who cannot see it."""
    return (f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(told)}">'
            f'{"".join(parts)}</svg>')


def text(x, y, words, anchor="start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(str(words))}</text>'


def line(x1, y1, x2, y2) -> str:
    return f'<line class="axis" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def grid(figures: list) -> str:
    """Of pairs (caption, drawing)."""
    return '<div class="grid">' + "\n".join(f"<figure><figcaption>{escape(caption)}</figcaption>{drawing}</figure>"
                                            for caption, drawing in figures) + "</div>"


# ---- Peers ---------------------------------------------------------------------------------------


def beside_peers(rows: list, peers: dict) -> str:
    """A figure for each row that a hypervisor has too, and for each who has it a bar."""
    figures = []
    for entry in rows:
        theirs = [(who, figures_of[entry["name"]]) for who, figures_of in peers["peers"].items()
                  if entry["name"] in figures_of]
        if any(who != "native" for who, _ in theirs):
            figures.append((entry["name"], bars([("Weir", entry["figure"]), *theirs])))
    return grid(figures) if figures else "<p>No row that others have.</p>"


def bars(figures: list) -> str:
    longest, parts = max(figure for _, figure in figures), []
    for i, (who, figure) in enumerate(figures):
        y, length = 17 * i, max(1.0, 130 * figure / longest)
        kind = "peer" if i else "weir"
        parts += [text(122, y + 12, shortened(who), "end"),
                  f'<rect class="{kind}" x="128" y="{y + 3}" width="{length:.1f}" height="11">'
                  f"<title>{escape(who)}: {figure}</title></rect>",
                  text(132 + length, y + 12, figure)]
    return svg(WIDTH, 17 * len(figures) + 2, parts, ", ".join(f"{who}: {figure}" for who, figure in figures))


def shortened(who: str) -> str:
    """The bar's tooltip has the whole name."""
    return who if len(who) <= 21 else who[:20] + "…"


# ---- Throughput ----------------------------------------------------------------------------------


def record_bytes(name: str):
    """None for a row that moves no records."""
    match = RECORDS.fullmatch(name)
    return int(match[1]) * (1024 if match[2] else 1) if match else None


def throughput(rows: list) -> str:
    """Bytes an instruction, of both sides together; both axes count powers of two."""
    points = [(math.log2(size), math.log2(size / entry["figure"]), entry["name"]) for entry in rows
              if (size := record_bytes(entry["name"]))]
    if not points:
        return "<p>No row with records.</p>"
    left, right = min(x for x, _, _ in points) - 1, max(x for x, _, _ in points) + 1
    low, high = math.floor(min(y for _, y, _ in points)), math.ceil(max(y for _, y, _ in points) + 0.1)
    width, height = 640, 30 * (high - low) + 40

    def at(x, y):
        return 60 + (x - left) / (right - left) * (width - 70), 10 + (high - y) * 30

    parts = []
    for y in range(low, high + 1):
        parts += [line(*at(left, y), *at(right, y)), text(54, at(left, y)[1] + 4, f"{2.0 ** y:g}", "end")]
    for x in sorted({x for x, _, _ in points}):
        parts += [line(*at(x, low), *at(x, high)), text(at(x, low)[0], height - 12, size_name(2 ** x), "middle")]
    named = [(*at(x, y), f"{name}: {2 ** y:.2f}") for x, y, name in points]
    parts += [f'<circle class="point" cx="{px:.1f}" cy="{py:.1f}" r="3.5"/>' for px, py, _ in named]
    parts += labels(named, width)
    return "<p>Bytes for each instruction that is executed, against the bytes of a record.</p>" + \
        svg(width, height, parts, ", ".join(words for *_, words in named))


def labels(points: list, width: int) -> list:
    """Beside its point each, on the side that has room; one that would lie on another is moved down, with a line to it."""
    parts, taken = [], []
    for x, y, words in sorted(points, key=lambda point: point[1]):
        length, right = LETTER * len(words), x < width / 2
        begin, place = x + 9 if right else x - 9 - length, y
        while any(abs(place - other) < 12 and begin < end and start < begin + length for start, end, other in taken):
            place += 1
        taken.append((begin, begin + length, place))
        parts += [line(x, y, x + (8 if right else -8), place)] if place != y else []
        parts.append(text(x + (9 if right else -9), place + 4, words, "start" if right else "end"))
    return parts


def size_name(size: float) -> str:
    return f"{size / 1024:.0f} KiB" if size >= 1024 else f"{size:.0f}"


# ---- Tables --------------------------------------------------------------------------------------


def table(rows: list, held: dict, peers: dict) -> str:
    heads = ["", "Weir", *accesses.KINDS, "limit", "goal under", "best peer"]
    lines = ["<tr>" + "".join(f'<th scope="col">{head}</th>' for head in heads) + "</tr>"]
    for entry in rows:
        name, best = entry["name"], limits.best_peer(peers, entry["name"])
        counts = [entry.get("accesses", {}).get(kind) for kind in accesses.KINDS]
        spread = f" ({entry['is']} of {entry['min']} to {entry['max']})" if entry["min"] != entry["max"] else ""
        cells = [name, f"{entry['figure']}{spread}", *counts, held["limits"].get(name), limits.goal_of(held, name),
                 f"{best[1]}: {best[0]}" if best else None]
        name, *cells = ("" if cell is None else escape(str(cell)) for cell in cells)
        lines.append(f'<tr><th scope="row">{name}</th>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return '<div class="scroll"><table>' + "\n".join(lines) + "</table></div>"


# ---- History -------------------------------------------------------------------------------------


def limits_over_time(history: list) -> str:
    """`history`: (commit, date, limits), the oldest first."""
    if not history:
        return "<p>No history here: these sources come without their repository.</p>"
    names = list(dict.fromkeys(name for _, _, held in reversed(history) for name in held))
    (first, first_date, _), (last, last_date, _) = history[0], history[-1]
    return (f"<p>{len(history)} commits that changed limits, from {escape(first)} ({first_date}) to "
            f"{escape(last)} ({last_date}); each curve begins at zero.</p>" +
            grid([(name, curve([(i, *entry[:2], entry[2][name]) for i, entry in enumerate(history)
                                if name in entry[2]], len(history))) for name in names]))


def curve(points: list, commits: int) -> str:
    """Steps: a limit holds until the next commit that changes it. `points`: (place, commit, date, limit)."""
    highest, step = max(limit for *_, limit in points) or 1, 210 / commits
    places = [(4 + i * step, 46 - 40 * limit / highest) for i, _, _, limit in points]
    path = f"M{places[0][0]:.1f} {places[0][1]:.1f}" + "".join(
        f"H{x:.1f}V{y:.1f}" for x, y in places[1:]) + f"h{step:.1f}"
    told = "\n".join(f"{date} {commit}: {limit}" for (_, commit, date, limit), before in
                     zip(points, [(None,), *points]) if limit != before[-1])
    change = f"{points[0][-1]} → {points[-1][-1]}" if points[0][-1] != points[-1][-1] else points[-1][-1]
    return svg(WIDTH, 50, [line(4, 46, 214, 46), f'<path class="line" d="{path}"><title>{escape(told)}</title></path>',
                           text(222, places[-1][1] + 4, change)], told.replace("\n", ", "))
