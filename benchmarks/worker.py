"""One case in a process of its own: prepares it, then runs it whenever a line asks for it.

    python -m benchmarks.worker SECTION CASE OPTIONS-AS-JSON

Answers are lines of JSON on standard output: {"units": ..., "flop": ...} once the case has run
`WARM_UP` times, {"seconds": ..., "processor": ...} after each line "run", {"peak_mb": ...} after
"memory", {"missing": "..."} where the case cannot run here. It ends with its input. A peer, see
`benchmarks.peers`, is any other program that does the same.
"""

from __future__ import annotations

import json
import os
import sys

from benchmarks import memory
from benchmarks.plan import Missing, Options, Ready, Took, timed
from benchmarks.sections import SECTIONS

WARM_UP = 2


def run_once(ready: Ready) -> Took:
    """Run a case; return the time that counts."""
    found = []
    whole = timed(lambda: found.append(ready.run()))
    return found[0] if isinstance(found[0], Took) else whole


def main(argv: list[str]) -> int:
    """Serve one case until the input ends."""
    section, case, options = argv
    # Libraries print; the answers get a stream that only this function knows.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(**values) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    module = SECTIONS[section]
    options = Options(**json.loads(options))
    if case.endswith("; --prepare"):
        module.prepare_folder(case.removesuffix("; --prepare"), options)
        return 0
    try:
        ready = module.prepare(case, options)
    except Missing as reason:
        answer(missing=str(reason))
        return 0
    for _ in range(WARM_UP):
        ready.run()
    answer(units=ready.units, flop=ready.flop)
    memory.forget_peak()
    for line in sys.stdin:
        if line.strip() == "memory":
            answer(peak_mb=memory.peak())
            continue
        seconds, processor = run_once(ready)
        answer(seconds=seconds, processor=processor)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
