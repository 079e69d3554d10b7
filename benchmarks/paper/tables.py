"""From the results file to docs/paper.md: the paper's numbers beside ours, and what holds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, stdev

from benchmarks.paper import figures, results
from benchmarks.paper.arms import ARMS, TABLES, Table
from keras_focal.analysis import share_of_hardest
from yolo.errors import DatasetError
from yolo.system.writing import write_text

PAGE = Path(__file__).resolve().parents[2] / "docs" / "paper.md"
START, END = "<!-- tables: python -m benchmarks.paper --tables-only -->", "<!-- end of tables -->"
SCORES = ("AP", "AP50", "AP75")
# Fewer seeds tell nothing of the spread.
FEWEST_SEEDS = 3


def write(rows, folder: Path, page: Path = PAGE) -> Path:
    """Put what the rows say between the page's markers; the rest of it stays.

    Args:
        rows: of the results file.
        folder: where figure 4's curves lie.
        page: the file to change.

    Raises:
        DatasetError: the page is missing or has lost its markers.
    """
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise DatasetError(f"{page}: cannot be read ({error.strerror})") from None
    if text.count(START) != 1 or text.count(END) != 1 or text.index(START) > text.index(END):
        raise DatasetError(f"{page}: expected the lines {START!r} and {END!r}, once, in this order")
    before, after = text.split(START)[0], text.split(END)[1]
    write_text(page, "\n\n".join([before + START, *sections(rows, folder), END + after]))
    return page


def sections(rows, folder: Path) -> list[str]:
    """Return the page's changing part: what was run, every table, what holds, times, figure 4.

    Rows with the most steps are shown, and of those the settings with the most rows; others
    stay in the file.
    """
    if not rows:
        return ["**No arm has been run yet.**"]
    counts = {}
    for row in rows:
        wanted = tuple(row[name] for name in results.SETTINGS)
        counts[wanted] = counts.get(wanted, 0) + 1
    shown = max(counts, key=lambda wanted: (int(wanted[0]), counts[wanted]))
    rows = results.with_settings(rows, shown)
    sets = list(dict.fromkeys(row["data_set"] for row in rows))
    parts = [_what_was_run(rows, sets)]
    for table in TABLES.values():
        if any(name in {row["arm"] for row in rows} for name in table.rows):
            parts.append(_table(table, rows, sets))
    parts += [_orderings(rows, sets), _times(rows), *_figure_4(folder)]
    return parts


def of(rows, data_set: str, arm: str, score: str = "AP") -> dict[int, float]:
    """Return an arm's scores in percent by seed."""
    return {
        int(row["seed"]): 100 * float(row[score])
        for row in rows
        if row["data_set"] == data_set and row["arm"] == arm
    }


def verdict(better: dict[int, float], worse: dict[int, float]) -> tuple[str, list[float]]:
    """Say whether one arm is above another, from the differences of equal seeds.

    It holds, or the reverse does, where the mean difference is at least two standard errors from
    0 over at least `FEWEST_SEEDS` seeds.

    Args:
        better: scores by seed of the arm that is said to be better.
        worse: the same of the other one.

    Returns:
        "holds", "reversed", "undecided", "too few seeds" or "not run", and the differences.

    Example:
        >>> verdict({1: 30.0, 2: 31.0, 3: 29.5}, {1: 20.0, 2: 20.5, 3: 20.0})
        ('holds', [10.0, 10.5, 9.5])
        >>> verdict({1: 30.0}, {1: 20.0})[0]
        'too few seeds'
    """
    differences = [better[seed] - worse[seed] for seed in sorted(better.keys() & worse.keys())]
    if not differences:
        return "not run", []
    if len(differences) < FEWEST_SEEDS:
        return "too few seeds", differences
    middle, error = mean(differences), stdev(differences) / math.sqrt(len(differences))
    if middle and abs(middle) >= 2 * error:
        return ("holds" if middle > 0 else "reversed"), differences
    return "undecided", differences


def _what_was_run(rows, sets) -> str:
    steps, size, batch, weights = (rows[0][name] for name in results.SETTINGS)
    lines = [
        f"Run so far: {steps} steps of {batch} pictures at {size} x {size} an arm, backbone "
        + (f"from `{weights}`" if weights else "from fresh weights")
        + f", {', '.join(sorted({row['precision'] for row in rows}))}."
    ]
    for name in sets:
        own = [row for row in rows if row["data_set"] == name]
        seeds = sorted({int(row["seed"]) for row in own})
        full = [arm for arm in ARMS if len(of(own, name, arm)) == len(seeds)]
        some = [arm for arm in ARMS if 0 < len(of(own, name, arm)) < len(seeds)]
        lines.append(
            f"- {name}: {len(full) + len(some)} of {len(ARMS)} arms, seeds "
            + ", ".join(map(str, seeds))
            + (f" ({len(some)} of them not with every seed yet)" if some else "")
        )
    missing = [name for name in ("shapes", "bccd", "raccoon") if name not in sets]
    if missing:
        lines.append(f"- not run yet: {', '.join(missing)}")
    return "\n".join([lines[0], "", *lines[1:]])


def _table(table: Table, rows, sets) -> str:
    heads = ["arm", "paper", *(f"{name} {score}" for name in sets for score in ("AP", "AP50"))]
    lines = []
    for arm, theirs in table.rows.items():
        cells = [ARMS[arm].label, theirs if isinstance(theirs, str) else _slashed(theirs)]
        for name in sets:
            gone = [
                row for row in rows
                if row["arm"] == arm and row["data_set"] == name and int(row["diverged_at"])
            ]  # fmt: skip
            mark = f" ({len(gone)} diverged)" if gone else ""
            cells += [
                _spread(of(rows, name, arm, "AP").values()) + mark,
                _spread(of(rows, name, arm, "AP50").values()),
            ]
        lines.append(cells)
    note = [table.note] if table.note else []
    return "\n\n".join([f"### {table.title}", *note, _markdown(heads, lines)])


def _orderings(rows, sets) -> str:
    """Return the table of the claims, and lists of those that hold and those that do not."""
    lines: list[list[str]] = []
    verdicts: dict[str, dict[str, str]] = {}
    for key, table in TABLES.items():
        for better, worse in table.claims:
            claim = f"{ARMS[better].label} above {ARMS[worse].label}"
            theirs = table.rows[better], table.rows[worse]
            gap = "" if any(isinstance(x, str) for x in theirs) else (
                f"{theirs[0][0] - theirs[1][0]:+.1f}"
            )  # fmt: skip
            cells = [key, claim, gap]
            for name in sets:
                word, gaps = verdict(of(rows, name, better), of(rows, name, worse))
                verdicts.setdefault(claim, {})[name] = word
                cells.append(f"{_signed(gaps)} {word}" if gaps else word)
            lines.append(cells)
    parts = [
        "### Which orderings hold",
        "Differences in AP between runs of the same seed, mean ± standard deviation. An ordering "
        "holds, or its reverse does, where the mean is at least two standard errors from 0 over "
        f"{FEWEST_SEEDS} seeds; three seeds are few, and one ordering in about five would pass "
        "so by chance alone.",
        _markdown(["table", "claim", "paper", *sets], lines),
    ]
    return "\n\n".join([*parts, _summary(verdicts)])


def _summary(verdicts: dict[str, dict[str, str]]) -> str:
    """Return in words what holds where, from the verdicts by claim and data set."""
    words = [word for found in verdicts.values() for word in found.values()]
    decided = {"holds", "reversed", "undecided"}
    if not decided & set(words):
        return "Nothing can be said yet: no pair of arms has three seeds."
    groups: dict[str, list[str]] = {
        "Hold wherever they were tried": [], "Hold somewhere, are reversed nowhere": [],
        "Are reversed somewhere": [], "Decided nowhere": [],
    }  # fmt: skip
    everywhere, somewhere, against, nowhere = groups.values()
    for claim, found in verdicts.items():
        held = [name for name, word in found.items() if word == "holds"]
        turned = [name for name, word in found.items() if word == "reversed"]
        if turned:
            also = f"; holds on {', '.join(held)}" if held else ""
            against.append(f"{claim} (reversed on {', '.join(turned)}{also})")
        elif held and all(word == "holds" for word in found.values() if word in decided):
            everywhere.append(claim)
        elif held:
            somewhere.append(f"{claim} ({', '.join(held)})")
        elif "undecided" in found.values():
            nowhere.append(claim)
    counts = ", ".join(f"{words.count(word)} {says}" for word, says in (
        ("holds", "hold"), ("reversed", "are reversed"), ("undecided", "are undecided")
    ))  # fmt: skip
    lines = [f"Of {sum(map(words.count, decided))} comparisons {counts}."]
    for title, claims in groups.items():
        if claims:
            lines.append("\n".join([f"{title}:", "", *(f"- {claim}" for claim in claims)]))
    return "\n\n".join(lines)


def _times(rows) -> str:
    heads = ["arm", "runs", "processor seconds, mean", "from", "to", "by the clock"]
    lines = []
    for arm in ARMS.values():
        own = [row for row in rows if row["arm"] == arm.name]
        took = [float(row["processor_seconds"]) for row in own]
        if took:
            lines.append(
                [arm.name, str(len(took)), f"{mean(took):.0f}", f"{min(took):.0f}",
                 f"{max(took):.0f}", f"{mean(float(row['seconds']) for row in own):.0f}"]
            )  # fmt: skip
    total = sum(float(row["processor_seconds"]) for row in rows)
    machines = ", ".join(sorted({row["processor"] for row in rows}))
    return "\n\n".join([
        "### How long each arm took",
        f"{total / 60:.0f} minutes of processor time in all for {len(rows)} runs, data reading, "
        f"compilation and scoring included ({machines}).",
        _markdown(heads, lines),
    ])  # fmt: skip


def _figure_4(folder: Path) -> Iterable[str]:
    for name, path in figures.curve_files(folder).items():
        steps, curves = figures.read_curves(path)
        positives, negatives = (curves[side] for side in figures.SIDES)
        hardest = [
            f"γ = {gamma:g}: {100 * share_of_hardest(curve, 0.2):.0f} %"
            for gamma, curve in positives[1].items()
        ]
        rest = [
            f"γ = {gamma:g}: {100 * share_of_hardest(curve, 0.01):.0f} %"
            for gamma, curve in negatives[1].items()
        ]
        yield "\n\n".join([
            f"### Figure 4 on {name}",
            f"![Cumulative loss of positives and negatives](figures/figure4_{name}.png)",
            f"From the detector trained with the focal loss and the first seed for {steps} steps, "
            f"on the test pictures: {positives[0]:,} positive and {negatives[0]:,} negative "
            "decisions (every class of every anchor that is not ignored).",
            f"Share of the positives' loss in their hardest fifth: {', '.join(hardest)} (the "
            "paper: about half, whatever γ). Share of the negatives' loss in their hardest "
            f"hundredth: {', '.join(rest)} (the paper: with γ = 2 the vast majority comes from a "
            "small fraction).",
        ])  # fmt: skip


def _markdown(heads, lines) -> str:
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _slashed(values) -> str:
    return " / ".join(f"{value:.1f}" for value in values)


def _spread(values) -> str:
    values = list(values)
    if not values:
        return "not run"
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{mean(values):.1f} ± {stdev(values):.1f}"


def _signed(values) -> str:
    spread = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
    return f"{mean(values):+.1f}{spread}"
