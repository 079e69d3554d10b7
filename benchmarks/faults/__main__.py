"""Bring faults about, count what survives, and print the table of docs/reliability.md.

python -m benchmarks.faults            # full counts: hours
python -m benchmarks.faults --quick    # a few trials of each
python -m benchmarks.faults training   # one family
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import sys

FAMILIES = ("training", "inputs")


def main() -> int:
    """Print the table row by row; 1 if anything did not survive."""
    parser = argparse.ArgumentParser(prog="benchmarks.faults", description=__doc__.split("\n")[0])
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=" or ".join(FAMILIES))
    parser.add_argument("--quick", action="store_true", help="a few trials of each fault")
    args = parser.parse_args()
    unknown = set(args.families) - set(FAMILIES)
    if unknown:
        parser.error(f"no family {unknown.pop()}; there are {', '.join(FAMILIES)}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    print("| fault | tried | survived | worst time, s | worst memory, MB |")
    print("|---|---|---|---|---|")
    lost = 0
    for family in args.families or FAMILIES:
        name = f"benchmarks.faults.{family}"
        if importlib.util.find_spec(name) is None:
            continue
        for row in importlib.import_module(name).run(args.quick):
            print(
                f"| {row.fault} | {row.tried} | {row.survived} | {row.worst_seconds:.1f} "
                f"| {row.worst_megabytes:.0f} |",
                flush=True,
            )
            lost += row.tried - row.survived
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
