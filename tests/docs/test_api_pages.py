"""Every public name stands on a page of docs/api, and says what it takes, gives and raises."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

import keras_focal
import yolo

ROOT = Path(__file__).resolve().parents[2]
TARGETS = sorted(
    target
    for page in (ROOT / "docs" / "api").glob("*.md")
    for target in re.findall(r"^::: ([\w.]+)$", page.read_text(encoding="utf-8"), re.M)
)
KERAS_FOCAL = sorted(set(keras_focal.__all__) - {"__version__"})
# Their use needs a file or a figure, and is shown on the pages.
WITHOUT_EXAMPLE = {"yolo.load", "analysis.plot_loss_against_probability",
                   "analysis.plot_loss_against_logit", "analysis.plot_cumulative_loss"}  # fmt: skip
SECTION = re.compile(r"^(Args|Returns|Raises|Example|Reference|Attributes):$", re.MULTILINE)


def resolve(target):
    """Return the module or object of a dotted name."""
    try:
        return importlib.import_module(target)
    except ModuleNotFoundError:
        module, _, name = target.rpartition(".")
        return getattr(importlib.import_module(module), name)


def public_names():
    """Return what users import by name, as (name, object)."""
    found = [(f"keras_focal.{name}", getattr(keras_focal, name)) for name in KERAS_FOCAL]
    analysis = importlib.import_module("keras_focal.analysis")
    found += [(f"analysis.{name}", thing) for name, thing in vars(analysis).items()
              if inspect.isfunction(thing) and thing.__module__ == analysis.__name__
              and not name.startswith("_")]  # fmt: skip
    found += [(f"yolo.{name}", getattr(yolo, name)) for name in yolo._HOMES if name != "ZOO"]
    return found


PUBLIC = dict(public_names())


def sections(text):
    """Return the sections of a Google docstring by name; "" is what stands before them."""
    parts = SECTION.split(inspect.cleandoc(text))
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


@pytest.mark.parametrize("target", TARGETS)
def test_what_a_page_asks_for_exists(target):
    assert inspect.getdoc(resolve(target))


def test_every_public_name_is_on_a_page():
    assert {f"keras_focal.{name}" for name in KERAS_FOCAL} <= set(TARGETS)
    for name, home in yolo._HOMES.items():
        assert {home, f"{home}.{name}"} & set(TARGETS), name
    for name in set(yolo._MODULES) - {"inference", "reports", "system"}:
        assert any(f"{target}.".startswith(f"yolo.{name}.") for target in TARGETS), name


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_says_what_it_takes_gives_and_raises(name):
    thing = PUBLIC[name]
    said = sections(thing.__doc__)
    assert said[""].splitlines()[0].endswith("."), "the first line is a sentence"
    signature = inspect.signature(thing.__init__ if inspect.isclass(thing) else thing)
    parameters = {parameter.lstrip("*") for parameter in signature.parameters} - {"self"}
    base = thing is keras_focal.ElementLoss  # for subclasses, which have their own
    described = set(re.findall(r"^    \*{0,2}(\w+):", said.get("Args", ""), re.MULTILINE))
    assert base or described == parameters
    if not inspect.isclass(thing):
        assert "Returns" in said or "plot_" in name
    assert base or "Example" in said or name in WITHOUT_EXAMPLE


def test_doctests_of_the_packages_are_collected():
    """The suite's own settings name the packages, with --doctest-modules."""
    text = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    paths = re.search(r"^testpaths =\n((?:    .+\n)+)", text, re.MULTILINE)[1].split()
    assert {"keras_focal", "yolo"} <= set(paths) and "--doctest-modules" in text


def test_public_things_are_documented_everywhere():
    """What ruff's D rules say, here without ruff: no public name without a docstring."""
    missing = []
    for path in [*(ROOT / "keras_focal").rglob("*.py"), *(ROOT / "yolo").rglob("*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), path
        things = [n for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef)]
        things += [n for c in things if isinstance(c, ast.ClassDef) and not c.name.startswith("_")
                   for n in c.body if isinstance(n, ast.FunctionDef)]  # fmt: skip
        missing += [
            f"{path.relative_to(ROOT).as_posix()}:{thing.lineno}"
            for thing in things
            if not thing.name.startswith("_") and not ast.get_docstring(thing)
            and not any(ast.unparse(d).endswith(".setter") for d in thing.decorator_list)
        ]  # fmt: skip
    assert not missing, missing
