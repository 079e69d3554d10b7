"""`python -m yolo COMMAND`: every command under one name."""

from __future__ import annotations

import sys

from yolo import cli

COMMANDS = {
    "train": cli.train_main,
    "predict": cli.predict_main,
    "evaluate": cli.evaluate_main,
    "export": cli.export_main,
}


def main(argv: list[str] | None = None) -> int:
    """Run the command that the first argument names."""
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in COMMANDS:
        return COMMANDS[argv[0]](argv[1:])
    usage = f"usage: python -m yolo {{{','.join(COMMANDS)}}} ... (--help after one of them)\n"
    asked = bool(argv) and argv[0] in ("-h", "--help")
    (sys.stdout if asked else sys.stderr).write(usage)
    return 0 if asked else 2


if __name__ == "__main__":
    sys.exit(main())
