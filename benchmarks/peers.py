"""Other people's programs, measured beside ours without being a dependency.

`--peer NAME=COMMAND` runs COMMAND, from an environment of its own, with the name of each group of
cases as its last argument, e.g. "training: yolov4-tiny, batch 8, 416". It does what
`benchmarks.worker` does:

- a group that it has nothing for: print {"missing": "reason"} and end;
- else prepare, run the work twice to warm up, and print {"units": 8}: how much of the group's unit
  (pictures, ...) one run does;
- for every line "run" on standard input run once and print {"seconds": 1.88}, and "processor",
  the seconds of all processor cores, if it knows;
- for a line "memory" print {"peak_mb": 1900} or {};
- end when the input ends.

Each answer is one line of JSON on standard output, flushed; anything else goes to standard error.
Its runs take turns with ours. The limits of `benchmarks.pipeline` and `benchmarks.training` are
against peers called "tutorial" and "keras-retinanet".
"""

from __future__ import annotations


def parse(given: list[str]) -> dict[str, str]:
    """Return name to command of the peers given as NAME=COMMAND.

    Raises:
        ValueError: one has no name or no command.

    Example:
        >>> parse(["tutorial=other/bin/python steps.py"])
        {'tutorial': 'other/bin/python steps.py'}
    """
    found = {}
    for text in given:
        name, _, command = text.partition("=")
        if not (name.strip() and command.strip()):
            raise ValueError(f"--peer {text!r}: expected NAME=COMMAND")
        found[name.strip()] = command.strip()
    return found
