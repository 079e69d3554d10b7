"""Measure speed and memory: input, training, prediction, the loss, and how they grow.

python -m benchmarks                                   # everything, into logs/benchmarks.json
python -m benchmarks --only loss training              # these sections
python -m benchmarks --only "training: yolov4-tiny"    # or groups, by how their names begin
python -m benchmarks --compare benchmarks/results/epyc-2-cores.json

Every case runs in a process of its own, one run of each case in turn, round after round. Groups
that the output file already has are not measured again (--again does), so that a run can be broken
off and gone on with. Ratios are taken within each round: they stand where the machine does other
work, too, which times do not; then the processor's time says more than the clock's.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks import peers, report, runner
from benchmarks.plan import Options
from benchmarks.sections import groups


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = argparse.ArgumentParser(
        prog="benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    found.add_argument("--only", nargs="+", default=[], metavar="NAME",
                       help="sections, or beginnings of the names of groups")  # fmt: skip
    found.add_argument("--list", action="store_true", help="print the groups and end")
    found.add_argument("--out", type=Path, default=Path("logs/benchmarks.json"), metavar="FILE")
    found.add_argument("--again", action="store_true", help="measure what FILE has already")
    found.add_argument("--compare", type=Path, metavar="FILE", help="a recorded run")
    found.add_argument("--data", default="", metavar="DIR", help="a VOC folder; else drawn")
    found.add_argument(
        "--weights", default="", metavar="FILE", help="Darknet's yolov4-tiny.weights"
    )
    found.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND",
                       help="a program to run beside: see benchmarks/peers.py")  # fmt: skip
    found.add_argument("--rounds", type=int, default=runner.ROUNDS)
    found.add_argument("--seconds", type=float, default=runner.SECONDS_A_GROUP,
                       help="after which a group begins no new round")  # fmt: skip
    found.add_argument("--shrink", type=int, default=1, metavar="N",
                       help="divide the work: to see that all runs, not to measure")  # fmt: skip
    return found


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write; 1 if nothing could be measured."""
    parsing = parser()
    args = parsing.parse_args(argv)
    try:
        others = peers.parse(args.peer)
        results = report.read(args.out)
        recorded = report.read(args.compare) if args.compare else None
    except ValueError as error:
        parsing.error(str(error))
    if recorded is not None and not args.compare.exists():
        parsing.error(f"--compare {args.compare}: no such file")
    chosen = [g for g in groups() if not args.only or g.name.startswith(tuple(args.only))]
    if not chosen:
        parsing.error(f"no group begins with {' or '.join(args.only)}; --list shows all")
    if args.list:
        print("\n".join(group.name for group in chosen))
        return 0
    folder = args.out.with_suffix(".files")
    options = Options(str(folder), args.data, args.weights, args.shrink)
    todo = [group for group in chosen if args.again or group.name not in results["groups"]]
    for group in chosen:
        if group not in todo:
            print(report.table(group.name, results["groups"][group.name]))
    for group in todo:
        preparing = runner.own_command(group.section, f"{group.what}; --prepare", options)
        if subprocess.run(preparing).returncode:
            return 1
        rows = runner.measure(
            group, options, others, rounds=args.rounds, seconds=args.seconds, write=_say
        )
        if rows:
            results["machine"] = report.machine()
            results["groups"][group.name] = rows
            report.write(args.out, results)
            print(report.table(group.name, rows), flush=True)
    if recorded is not None:
        print(report.comparison(results, recorded))
    return 0 if any(group.name in results["groups"] for group in chosen) else 1


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
