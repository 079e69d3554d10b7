"""Bring faults about, count what survives, and print the table of docs/reliability.md.

python -m tests.faults.full                # full counts: hours
python -m tests.faults.full --quick        # a few trials of each
python -m tests.faults.full training T14   # one family, one fault
python -m tests.faults.full --list         # their names
python -m tests.faults.full T2 --page docs/reliability.md    # put the rows into that page, too
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from tests.faults.full import clusters, devices, fixed, inputs, training
from tests.faults.full.table import Row, put_into
from yolo.system.writing import write_text

FAMILIES = {"training": training, "inputs": inputs, "fixed": fixed, "devices": devices,
            "clusters": clusters}  # fmt: skip


def _names(fault: str) -> set[str]:
    """Return what a fault goes by: T14-xml is one of T14."""
    return {fault, fault.partition("-")[0]}


def _publish(row: Row, page: Path) -> None:
    try:
        write_text(page, put_into(page.read_text(encoding="utf-8"), row))
    except LookupError as error:
        print(f"{page}: {error.args[0]} to replace or to follow", file=sys.stderr)


def main() -> int:
    """Print the table row by row; 1 if anything did not survive."""
    parser = argparse.ArgumentParser(prog="tests.faults.full", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="families or faults; --list")
    parser.add_argument("--quick", action="store_true", help="a few trials of each fault")
    parser.add_argument("--list", action="store_true", help="name all families and their faults")
    parser.add_argument("--page", type=Path, metavar="FILE",
                        help="put the rows of full counts into this page")  # fmt: skip
    args = parser.parse_args()
    if args.page and args.quick:
        parser.error("--page takes full counts alone")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    faults = {name: family.FAULTS for name, family in FAMILIES.items()}
    if args.list:
        for family, found in faults.items():
            print(f"{family}: {', '.join(found)}")
        return 0
    known = {
        *faults,
        *(part for found in faults.values() for name in found for part in _names(name)),
    }
    unknown = sorted(set(args.names) - known)
    if unknown:
        parser.error(f"nothing is named {unknown[0]}; see --list")
    print("| fault | tried | survived | worst time, s | worst memory, MB |")
    print("|---|---|---|---|---|", flush=True)
    lost = 0
    for family, found in faults.items():
        for name, fault in found.items():
            if args.names and not ({family} | _names(name)) & set(args.names):
                continue
            started = time.monotonic()
            for row in fault(args.quick):
                print(row, flush=True)
                if args.page:
                    _publish(row, args.page)
                lost += row.tried - row.survived
                if not row.tried:
                    print(f"{name}: nothing was tried", file=sys.stderr)
                    lost += 1
            print(f"{name}: {time.monotonic() - started:.0f} s in all", file=sys.stderr, flush=True)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
