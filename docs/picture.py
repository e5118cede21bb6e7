"""Draw docs/architecture.svg, the processes of a call and the folders: python docs/picture.py."""

from __future__ import annotations

from html import escape
from pathlib import Path

INK = "#24292f"
FILLS = {"host": "#ddf4ff", "nursery": "#fff8c5", "child": "#dafbe1", "shared": "#f6f8fa"}
HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1090 600"
     font-family="system-ui, sans-serif" font-size="14">
<title>The host forks the nursery, the nursery forks the children; the folder of each</title>
<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7"
  orient="auto-start-reverse"><path d="M0 0 10 5 0 10z" fill="#24292f"/></marker></defs>
<rect width="1090" height="600" fill="#ffffff"/>"""


def box(x: int, y: int, width: int, height: int, kind: str, title: str, *lines: str) -> str:
    """A box, its title in bold and its lines below that; what stands in backticks is code."""
    texts = [text(x + 14, y + 24, title, bold=True)]
    texts += [text(x + 14, y + 48 + 20 * n, line) for n, line in enumerate(lines)]
    frame = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8"'
    return f'{frame} fill="{FILLS[kind]}" stroke="{INK}"/>\n' + "\n".join(texts)


def text(x: int, y: int, words: str, *, bold: bool = False, middle: bool = False) -> str:
    """A line of text; `middle`: x is where its middle is."""
    weight = ' font-weight="bold"' if bold else ""
    anchor = ' text-anchor="middle"' if middle else ""
    parts = escape(words).split("`")
    parts[1::2] = [f'<tspan font-family="monospace">{code}</tspan>' for code in parts[1::2]]
    return f'<text x="{x}" y="{y}" fill="{INK}"{weight}{anchor}>{"".join(parts)}</text>'


def arrow(
    start: tuple[int, int], end: tuple[int, int], words: str = "", *, both: bool = False
) -> str:
    """An arrow, and its words above its middle."""
    tips = ' marker-end="url(#tip)"' + (' marker-start="url(#tip)"' if both else "")
    points = f'x1="{start[0]}" y1="{start[1]}" x2="{end[0]}" y2="{end[1]}"'
    line = f'<line {points} stroke="{INK}" stroke-width="1.5"{tips}/>'
    if not words:
        return line
    x, y = (start[0] + end[0]) // 2, (start[1] + end[1]) // 2 - 8
    return f"{line}\n{text(x, y, words, middle=True)}"


def picture() -> str:
    """The drawing, as SVG."""
    parts = [
        HEAD,
        box(20, 20, 380, 220, "host", "host: your program, all its threads",
            "`tep_parallel/_command/`: the command",
            "`tep_parallel/*.py`: what users hold",
            "`tep_parallel/_engine/`: one call, step by step",
            "`csrc/py_fork.c`: the GIL, hooks round a fork",
            "`csrc/host/`: open, wait, read, close", "",
            "checks worker and items, reads the results"),
        box(480, 20, 220, 220, "nursery", "nursery: C, one thread",
            "`csrc/nursery/`", "",
            "forks the children", "waits for them", "keeps the clocks", "kills what is below it"),
        box(780, 20, 290, 220, "child", "children: copies of the host",
            "`tep_parallel/_engine/child.py`", "`csrc/child/`: take, commit", "",
            "`process(items[0])`", "`process(items[1])`", "`process(items[2])`", "",
            "`csrc/digest/`: files, without Python"),
        arrow((400, 90), (480, 90), "fork"),
        arrow((400, 150), (480, 150), "socket", both=True),
        arrow((700, 90), (780, 90), "fork"),
        box(20, 290, 330, 130, "shared", "ledger: host and nursery only",
            "`csrc/shared/`", "", "each item's pid, times, exit status;", "where the directory is"),
        box(380, 290, 330, 130, "shared", "page: all three",
            "`csrc/shared/`", "", "each item's state, what is in hand,", "the stop word"),
        box(740, 290, 330, 130, "shared", "records: children write, the host reads",
            "`<root>/tep_par_<pid>_<ts>/<index>`", "a file an item: `csrc/sphttp_fork.c`", "",
            "of a pool in memory: `csrc/shared/`"),
        arrow((110, 240), (110, 290), both=True),
        arrow((520, 240), (270, 290), both=True),
        arrow((300, 240), (460, 290), both=True),
        arrow((580, 240), (560, 290), both=True),
        arrow((830, 240), (650, 290), both=True),
        arrow((940, 240), (940, 290)),
        text(950, 270, "write"),
        box(20, 450, 1050, 58, "shared", "`csrc/sphttp_fork.c`: the ground, on which all stand",
            "fork, scratch directory, per-index file, wait loop, HMAC, exit, getpid"),
        box(20, 522, 1050, 58, "shared", "`csrc/base/`: below the ground; no call is known here",
            "text, clock, descriptors that are safe after a fork, SHA-256 and HMAC"),
        "</svg>\n",
    ]  # fmt: skip
    return "\n".join(parts)


if __name__ == "__main__":
    Path(__file__).with_name("architecture.svg").write_text(picture())
