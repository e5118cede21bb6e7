"""Draw docs/architecture.svg, the three processes of a call: python docs/picture.py."""

from __future__ import annotations

from html import escape
from pathlib import Path

INK = "#24292f"
FILLS = {"host": "#ddf4ff", "nursery": "#fff8c5", "child": "#dafbe1", "shared": "#f6f8fa"}
HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 940 450"
     font-family="system-ui, sans-serif" font-size="14">
<title>The host forks the nursery, the nursery forks the children</title>
<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7"
  orient="auto-start-reverse"><path d="M0 0 10 5 0 10z" fill="#24292f"/></marker></defs>
<rect width="940" height="450" fill="#ffffff"/>"""


def box(x: int, y: int, width: int, height: int, kind: str, title: str, *lines: str) -> str:
    """A box, its title in bold and its lines below that."""
    texts = [text(x + 14, y + 24, title, bold=True)]
    texts += [text(x + 14, y + 46 + 19 * n, line) for n, line in enumerate(lines)]
    frame = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8"'
    return f'{frame} fill="{FILLS[kind]}" stroke="{INK}"/>\n' + "\n".join(texts)


def text(x: int, y: int, words: str, *, bold: bool = False, middle: bool = False) -> str:
    """A line of text; `middle`: x is where its middle is."""
    weight = ' font-weight="bold"' if bold else ""
    anchor = ' text-anchor="middle"' if middle else ""
    return f'<text x="{x}" y="{y}" fill="{INK}"{weight}{anchor}>{escape(words)}</text>'


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
        box(20, 30, 250, 190, "host", "host", "your program, all its threads", "",
            "checks worker and items", "waits on one socket", "reads and decodes results"),
        box(370, 30, 220, 190, "nursery", "nursery", "C only, one thread", "",
            "forks the children", "waits for them", "kills everything below it"),
    ]  # fmt: skip
    for number in range(3):
        y = 30 + 66 * number
        name = f"child {number}"
        call = f"process(items[{number}])"
        parts.append(box(690, y, 230, 58, "child", name, call))
        parts.append(arrow((590, 125), (690, y + 29)))
    parts += [
        text(640, 68, "fork", middle=True),
        arrow((270, 80), (370, 80), "fork"),
        arrow((270, 150), (370, 150), "socket", both=True),
        box(370, 270, 220, 150, "shared", "shared page", "mapped before the fork:", "",
            "of each item its state,", "its child's pid, its times"),
        box(690, 270, 230, 150, "shared", "scratch directory", "<root>/tep_par_<pid>_<ts>/", "",
            "0   1   2", "a file, a record, an item"),
        arrow((480, 220), (480, 270), both=True),
        arrow((805, 220), (805, 270)),
        text(818, 250, "write"),
        arrow((690, 215), (590, 275), both=True),
        arrow((200, 220), (370, 330), both=True),
        '<path d="M100 220 V440 H660 V380 H690" fill="none" stroke="#24292f" stroke-width="1.5"'
        ' marker-start="url(#tip)"/>',
        text(112, 432, "read, then remove"),
        "</svg>\n",
    ]  # fmt: skip
    return "\n".join(parts)


if __name__ == "__main__":
    Path(__file__).with_name("architecture.svg").write_text(picture())
