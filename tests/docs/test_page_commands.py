"""Every command that the README and the pages of docs/ show: known, accepted, and some of them run.

A command is a line of a fenced block without a language, or a code span that begins with a
program. Each must be of exactly one kind in `KINDS`; its check takes the command through the
program's own parser and ranges. The commands in `QUICK` are run as well, as typed but for the
options beside them.
"""

import argparse
import ast
import configparser
import importlib
import json
import os
import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests import children
from yolo.cli import COMMANDS, main
from yolo.cli.option_values import Parser
from yolo.errors import ConfigError
from yolo.settings import toml
from yolo.settings.train import TrainConfig
from yolo.system import process
from yolo.training import start

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`((?:python|pip|make|pytest|mkdocs)(?: [^`\n]+)?)`")
# Blocks in these languages are no commands; code in "python" is run by test_page_code.py.
OTHER_LANGUAGES = {"python", "text", "json", "toml", "xml"}
PLACEHOLDERS = {"<run>": "run", "FORMAT": "litert", "KIND": "int8", "...": "somewhere"}
SCRIPT = re.compile(r"python (train|predict|evaluate|docs/architecture)\.py\b")
YOLO = re.compile(r"python -m yolo \w+")
BENCHMARK = re.compile(r"python -m (benchmarks(?:\.\w+)?|tests\.faults\.full)\b")
NAMED = re.compile(r"python ([\w/]+\.py|-m (yolo \w+|benchmarks\.\w+))")


class Parsed(Exception):
    """Ends a program once it has accepted its options."""


def commands_in(text):
    """Yield the commands of a page, without comments, each part of `a && b` by itself."""
    blocks = FENCE.findall(text)
    assert {language for language, _ in blocks} <= OTHER_LANGUAGES | {""}
    lines = [
        line for language, code in blocks if not language
        for line in code.replace("\\\n", " ").splitlines()
    ]  # fmt: skip
    # A program named in a sentence, without options, is asked for its help.
    spans = SPAN.findall(FENCE.sub("", text))
    lines += [f"{span} --help" if NAMED.fullmatch(span) else span for span in spans]
    for line in lines:
        for part in line.split(" && "):
            if words := shlex.split(part, comments=True):
                yield [PLACEHOLDERS.get(w, w.replace("<run>", "run")) for w in words]


def every_command():
    found = {}
    for page in PAGES:
        for words in commands_in(page.read_text(encoding="utf-8")):
            found.setdefault(shlex.join(words), page.relative_to(ROOT).as_posix())
    return found


# --------------------------------------------------------------------------------- kinds


def accepted(words, monkeypatch):
    """Run a Python program until it has read its options; return them."""

    def ending(parse):
        def parse_args(self, args=None, namespace=None):
            raise Parsed(parse(self, args, namespace))

        return parse_args

    for parser in (argparse.ArgumentParser, Parser):
        monkeypatch.setattr(parser, "parse_args", ending(parser.parse_args))
    name, arguments = (words[2], words[3:]) if words[1] == "-m" else (words[1], words[2:])
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    monkeypatch.setattr(process, "end", sys.exit)  # else the tests' own process ends
    try:
        if words[1] == "-m":
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(str(ROOT / name), run_name="__main__")
    except Parsed as parsed:
        return parsed.args[0]
    except SystemExit as ended:
        assert "--help" in arguments and ended.code == 0, f"refused: {shlex.join(words)}"
        return argparse.Namespace()
    raise AssertionError(f"read no options: {shlex.join(words)}")


def check_script(words, monkeypatch):
    given = vars(accepted(words, monkeypatch))
    if words[1] == "train.py":  # whose settings have ranges, and must have a reader
        settings = {name: given[name] for name in given if name in TrainConfig.__dataclass_fields__}
        if settings.get("model", "").endswith(".cfg"):  # the reader's own, read at once
            del settings["model"]
        start.settle(settings)


def check_overview(words, monkeypatch):
    assert main([]) == 2 and main(["--help"]) == 0


def check_one_liner(words, monkeypatch):
    (code,) = words[2:]
    for node in ast.parse(code).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                assert hasattr(importlib.import_module(node.module), alias.name)


def check_install(words, monkeypatch):
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    if words[2] == "-e":
        assert len(words) == 4
        extras = re.fullmatch(r"\.(?:\[([\w,]+)\])?", words[3])[1]
        assert set(extras.split(",") if extras else ()) <= set(setup["options.extras_require"])
    else:  # something else than this project
        assert words[2:] in (["opencv-python"], ["pre-commit"])


def check_make(words, monkeypatch):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert set(words[1:]) <= targets and words[1:]


def check_pytest(words, monkeypatch):
    paths = [ROOT / word for word in words[1:] if not word.startswith("-")]
    assert not (gone := [path.name for path in paths if not path.exists()]), f"gone: {gone}"


KINDS = {
    "one of the scripts": (lambda c: SCRIPT.match(c), check_script),
    "a command of yolo": (lambda c: YOLO.match(c), check_script),
    "a benchmark, or the faults": (lambda c: BENCHMARK.match(c), check_script),
    "yolo alone": (lambda c: c == "python -m yolo", check_overview),
    "a line of Python": (lambda c: c.startswith("python -c "), check_one_liner),
    "an installation": (lambda c: c.startswith("pip install "), check_install),
    "a target of the Makefile": (lambda c: c.startswith("make "), check_make),
    "the tests": (lambda c: c.split()[0] == "pytest", check_pytest),
}


@pytest.mark.filterwarnings("ignore:.* found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("command", every_command())
def test_every_command_is_known_and_accepted(command, monkeypatch, capsys):
    kinds = [check for matches, check in KINDS.values() if matches(command)]
    assert len(kinds) == 1, f"{every_command()[command]}: {command} is of {len(kinds)} kinds"
    kinds[0](shlex.split(command), monkeypatch)


@pytest.mark.parametrize(
    "command, error, words",
    [
        ("python train.py --epoch 3", AssertionError, "refused"),
        ("python train.py --epochs 0", ConfigError, "epochs lies in 1 to"),
        ("python train.py --loss-options gamma", ConfigError, "names with values"),
        ("python predict.py --bogus", AssertionError, "refused"),
        ("python -m yolo benchmark", AssertionError, "refused"),
        ("python -m benchmarks.bccd --data BCCD", AssertionError, "refused"),
        ("python -m benchmarks.paper --fast", AssertionError, "refused"),
        ("python -m tests.faults.full --fast", AssertionError, "refused"),
        ('python -c "from yolo.zoo import nothing"', AssertionError, "nothing"),
        ('pip install -e ".[tea]"', AssertionError, "tea"),
        ("pip install left-pad", AssertionError, "left-pad"),
        ("make tea", AssertionError, "tea"),
        ("pytest tests/yolo/gone", AssertionError, "gone: "),
    ],
)
def test_a_wrong_command_is_found(command, error, words, monkeypatch, capsys):
    (check,) = (check for matches, check in KINDS.values() if matches(command))
    with pytest.raises(error, match=words):
        check(shlex.split(command), monkeypatch)


def test_an_unknown_program_is_of_no_kind():
    (words,) = commands_in("```\nsudo rm  # everything\n```\n")
    assert not any(matches(shlex.join(words)) for matches, _ in KINDS.values())


def test_settings_shown_as_toml_are_settings(tmp_path):
    shown = 0
    for page in PAGES:
        for language, code in FENCE.findall(page.read_text(encoding="utf-8")):
            if language == "toml":
                (tmp_path / "page.toml").write_text(code, encoding="utf-8")
                TrainConfig(**toml.read_toml(tmp_path / "page.toml"))
                shown += 1
    assert shown


# ------------------------------------------------------------------------------ quick form

# As they stand on the pages, in this order, each with what makes it quick.
QUICK = {
    "python train.py --data mine.zip --check": "",
    "python -m yolo anchors --data mine.zip": "--image-size 64",
    "python train.py --data mine.zip --model yolov4-tiny":
        "--name run --epochs 1 --image-size 64 --batch-size 4",
    "python train.py --resume logs/run": "",
    "python predict.py street.jpg --weights logs/run": "",
    "python evaluate.py --data mine.zip --weights logs/run": "",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the data set and the picture that the pages name."""
    from yolo.data import demo

    folder = tmp_path_factory.mktemp("pages")
    shapes = demo.write_shapes(folder / "drawn", train=8, val=4, test=4)
    shutil.make_archive(str(folder / "mine"), "zip", shapes)
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    (folder / "street.jpg").write_bytes(cv2.imencode(".jpg", image)[1].tobytes())
    return folder


# One process for all, which imports TensorFlow once.
RUN_ALL = """
import json, runpy, sys
from yolo.system import process
from yolo.training import start
process.end = sys.exit  # or the first command would end them all
for words in json.loads(sys.argv[1]):
    sys.argv = words
    try:
        if words[0] == "-m":
            sys.argv = words[1:]
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as ended:
        assert ended.code == 0, (words, ended.code)
    else:
        raise AssertionError(f"{words} gave no exit code")
"""


@pytest.mark.long
def test_commands_run_as_shown(folder):
    assert set(QUICK) <= set(every_command())
    commands = []
    for command, more in QUICK.items():
        words = shlex.split(f"{command} {more}")[1:]
        commands.append([str(ROOT / words[0]) if words[0] != "-m" else "-m", *words[1:]])
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = children.run(
        [sys.executable, "-c", RUN_ALL, json.dumps(commands)], cwd=folder, env=environment,
        timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "this run is complete" in done.stdout
    assert (folder / "logs" / "run" / "report.html").is_file()
    assert (folder / "predictions" / "predictions.json").is_file()
    assert (folder / "anchors.txt").is_file() and (folder / "logs" / "check").is_dir()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_stands_on_a_page(name):
    """Who reads the pages meets every option; of --strict and --no-strict the first will do."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    shown = set(re.findall(r"--[a-z][\w-]*", text))
    parser = importlib.import_module(f"yolo.cli.{name}").parser()
    offered = [action.option_strings for action in parser._actions if action.dest != "help"]
    assert not [strings for strings in offered if strings and not shown & set(strings)]
