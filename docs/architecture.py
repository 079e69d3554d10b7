"""Draw figures/architecture.svg: the rooms of the house, and the import arrows found in the code.

    python docs/architecture.py            # writes it
    python docs/architecture.py --check    # exit code 1 if the file is not what the code says

A room is a package, or the single modules of one floor together. The floors are those that
tests/test_house.py holds the imports to. Of the arrows only those are drawn that do not follow
from others: where A imports B and B imports C, A -> C is left out.
"""

from __future__ import annotations

import argparse
import itertools
import runpy
import sys
from collections import defaultdict
from html import escape
from pathlib import Path
from textwrap import wrap

ROOT = Path(__file__).resolve().parents[1]
FIGURE = ROOT / "docs" / "figures" / "architecture.svg"
WIDTH, GAP, BETWEEN = 480, 44, 24  # of the picture; between rows; between boxes in a row
CHARACTER, LINE, MARGIN = 7.4, 18, 10  # of the letters; around the text in a box
LETTERS_A_LINE = 52


def read_house() -> tuple[dict[str, int], dict[str, str], dict[str, set[str]]]:
    """Return the floor of each room, its label, and the rooms that it imports from."""
    house = runpy.run_path(str(ROOT / "tests" / "test_house.py"))
    floors, members, arrows = {}, defaultdict(list), defaultdict(set)

    def room(module: str) -> str:
        top = ".".join(module.split(".")[:2]) if module.startswith("yolo.") else "keras_focal"
        floor = house["floor"](module)
        package = (ROOT / Path(*top.split("."))).is_dir()
        name = top if package else f"modules of floor {floor}"
        floors[name] = floor
        if top not in members[name]:
            members[name].append(top)
        return name

    for path in house["sources"]("keras_focal", "yolo"):
        module = house["module_name"](path)
        if module == "yolo":  # forwards names, and imports nothing itself
            continue
        here = room(module)
        for _, other in house["imports_of"](path):
            if other.split(".")[0] in ("keras_focal", "yolo") and house["floor"](other) is not None:
                arrows[here].add(room(other))
    labels = {
        name: ", ".join(sorted(top.removeprefix("yolo.") for top in tops))
        for name, tops in members.items()
    }
    return floors, labels, {name: arrows[name] - {name} for name in floors}


def needed(arrows: dict[str, set[str]]) -> list[tuple[str, str]]:
    """Return the arrows that do not follow from others.

    Example:
        >>> needed({"a": {"b", "c"}, "b": {"c"}, "c": set()})
        [('a', 'b'), ('b', 'c')]
    """

    def reached(start: str, without: tuple[str, str]) -> set[str]:
        found, left = set(), [start]
        while left:
            here = left.pop()
            for there in arrows[here]:
                if (here, there) != without and there not in found:
                    found.add(there)
                    left.append(there)
        return found

    every = sorted((here, there) for here in arrows for there in arrows[here])
    return [(here, there) for here, there in every if there not in reached(here, (here, there))]


class Layout:
    """Where every room stands, and by which points each arrow goes.

    Args:
        floors: the floor of each room, 0 at the bottom.
        labels: what is written on it.
        arrows: pairs of rooms.
    """

    def __init__(self, floors: dict[str, int], labels: dict[str, str], arrows):
        self.text = {name: wrap(label, LETTERS_A_LINE) for name, label in labels.items()}
        self.rows = [[] for _ in range(max(floors.values()) + 1)]
        for name, floor in sorted(floors.items()):
            self.rows[floor].append(name)
        self.paths = []
        for here, there in arrows:
            # A long arrow gets a place of its own in every row that it passes.
            between = range(floors[here] - 1, floors[there], -1)
            passed = [f"{here} > {there} at {floor}" for floor in between]
            for floor, name in zip(between, passed, strict=True):
                self.rows[floor].append(name)
            self.paths.append([here, *passed, there])
        self.x = {}
        self._settle()
        self.y, self.height = self._stack()

    def size(self, name: str) -> tuple[float, float]:
        """Return width and height of a room, or of the gap that an arrow passes through."""
        if name not in self.text:
            return 8.0, 0.0
        lines = self.text[name]
        letters = max(map(len, lines))
        return letters * CHARACTER + 2 * MARGIN, len(lines) * LINE + MARGIN

    def _spread(self, order) -> dict[str, float]:
        """Return the middle of each member of a row, in this order."""
        total = sum(self.size(name)[0] for name in order) + BETWEEN * (len(order) - 1)
        left, middles = (WIDTH - total) / 2, {}
        for name in order:
            width = self.size(name)[0]
            middles[name] = left + width / 2
            left += width + BETWEEN
        return middles

    def _settle(self) -> None:
        """Order every row so that its arrows are short; a few rounds, each row in turn."""
        beside = defaultdict(list)
        for path in self.paths:
            for one, other in itertools.pairwise(path):
                beside[one].append(other)
                beside[other].append(one)
        for row in self.rows:
            self.x |= self._spread(row)

        def cost(order) -> float:
            middles = self._spread(order)
            return sum(
                abs(middles[name] - middles.get(other, self.x[other]))
                * (2 if other in middles else 1)
                for name in order
                for other in beside[name]
            )

        for _ in range(4):
            for row in reversed(self.rows):
                row[:] = min(itertools.permutations(sorted(row)), key=cost)
                self.x |= self._spread(row)

    def _stack(self) -> tuple[dict[str, float], float]:
        """Return the top of each member of every row, and the height of the picture."""
        tops, y = {}, MARGIN
        for row in reversed(self.rows):
            height = max(self.size(name)[1] for name in row)
            for name in row:
                tops[name] = y + (height - self.size(name)[1]) / 2
            y += height + GAP
        return tops, y - GAP + MARGIN


def curve(layout: Layout, path: list[str]) -> str:
    """Return one arrow as an SVG path."""
    first, last = path[0], path[-1]
    if layout.y[first] == layout.y[last] and len(path) == 2:  # on one floor, side by side
        way = 1 if layout.x[last] > layout.x[first] else -1
        y = layout.y[first] + layout.size(first)[1] / 2
        x1 = layout.x[first] + way * layout.size(first)[0] / 2
        x2 = layout.x[last] - way * (layout.size(last)[0] / 2 + 4)
        return f"M{x1:.0f} {y:.0f} L{x2:.0f} {y:.0f}"
    points = [(layout.x[name], layout.y[name]) for name in path]
    points[0] = (points[0][0], points[0][1] + layout.size(first)[1])
    points[-1] = (points[-1][0], points[-1][1] - 4)
    # Arrows leave and arrive a little apart, each on its own side.
    for end, other, name in ((0, 1, first), (-1, -2, last)):
        reach = layout.size(name)[0] / 2 - 14
        shift = max(-reach, min(reach, (points[other][0] - points[end][0]) * 0.35))
        points[end] = (points[end][0] + shift, points[end][1])
    text = f"M{points[0][0]:.0f} {points[0][1]:.0f}"
    for (x1, y1), (x2, y2) in itertools.pairwise(points):
        middle = (y1 + y2) / 2
        text += f" C{x1:.0f} {middle:.0f} {x2:.0f} {middle:.0f} {x2:.0f} {y2:.0f}"
    return text


def draw() -> str:
    """Return the picture as the text of an SVG file."""
    floors, labels, arrows = read_house()
    layout = Layout(floors, labels, needed(arrows))
    height = round(layout.height)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="14">',
        "<title>The rooms of keras_focal and yolo, and which imports from which</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#78849c"/></marker>'
        "</defs>",
    ]
    for path in layout.paths:
        parts.append(
            f'<path d="{curve(layout, path)}" fill="none" stroke="#78849c" stroke-width="1.5" '
            f'marker-end="url(#tip)"><title>{escape(path[0])} imports from {escape(path[-1])}'
            "</title></path>"
        )
    for name, lines in sorted(layout.text.items()):
        width, tall = layout.size(name)
        x, y = layout.x[name], layout.y[name]
        fill = "#e4e9f7" if name in ("keras_focal",) or name.startswith("yolo.") else "#f6f1e2"
        parts.append(
            f'<rect x="{x - width / 2:.0f}" y="{y:.0f}" width="{width:.0f}" height="{tall:.0f}" '
            f'rx="6" fill="{fill}" stroke="#4a5670"/>'
        )
        for number, line in enumerate(lines):
            baseline = y + MARGIN / 2 + LINE * (number + 1) - 5
            parts.append(
                f'<text x="{x:.0f}" y="{baseline:.0f}" text-anchor="middle" fill="#1c2333">'
                f"{escape(line)}</text>"
            )
    return "\n".join([*parts, "</svg>", ""])


def main(arguments: list[str]) -> int:
    """Write the figure, or tell whether it is current."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    args = parser.parse_args(arguments)
    text = draw()
    if args.check:
        current = FIGURE.is_file() and FIGURE.read_text(encoding="utf-8") == text
        sys.stdout.write("current\n" if current else "not current: python docs/architecture.py\n")
        return 0 if current else 1
    FIGURE.write_text(text, encoding="utf-8", newline="\n")
    sys.stdout.write(f"wrote {FIGURE.relative_to(ROOT).as_posix()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
