"""Files, functions and signatures that one can take in at a look."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OF_KERAS = {"self", "cls", "reduction", "name", "dtype"}  # what every loss of Keras takes
# A run is started from the command line, a script, a notebook and the tests: each of its keywords
# is given by some and left alone by most, and no two go together.
MANY_ARGUMENTS = {"yolo/training/trainer.py: train", "yolo/training/job.py: train"}


def too_large(text, place):
    """Yield what is too large in a file: lines, a function's code without docstring, arguments."""
    if len(text.splitlines()) > 400:
        yield f"{place}: more than 400 lines"
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        first = node.body[0]
        documented = ast.get_docstring(node) is not None
        lines = node.end_lineno - node.lineno + 1
        lines -= documented and first.end_lineno - first.lineno + 1
        if lines > 60:
            yield f"{place}: {node.name}: {lines} lines of code; expected at most 60"
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        count = len({argument.arg for argument in arguments} - OF_KERAS)
        if count > 7 and f"{place}: {node.name}" not in MANY_ARGUMENTS:
            yield f"{place}: {node.name}: {count} arguments; expected at most 7"


def test_files_functions_and_signatures_stay_readable():
    folders = ("keras_focal", "yolo", "benchmarks", "tests", "examples", "docs")
    places = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    places += ROOT.glob("*.py")
    texts = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in places}
    found = [line for place, text in texts.items() for line in too_large(text, place)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text, words",
    [
        ("x = 1\n" * 401, "a.py: more than 400 lines"),
        ("def f():\n" + "    x = 1\n" * 60, "a.py: f: 61 lines of code"),
        ("class A:\n  def f(self, a, b, c, d, *, e, f, g, h): ...\n", "a.py: f: 8 arguments"),
    ],
)
def test_the_size_test_sees(text, words):
    (found,) = too_large(text, "a.py")
    assert found.startswith(words)
    fits = (
        'def f(a, b, c, d, e, f, g, name):\n    """' + "long\n" * 60 + '    """\n' + "    a\n" * 58
    )
    assert not list(too_large(fits, "a.py"))
