"""The rules of the house: which way imports go, who prints, how files are opened."""

import ast
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import yolo

ROOT = Path(__file__).resolve().parents[1]

# From the ground up; a module imports from its own floor and those below it.
FLOORS = (
    ("keras_focal",),
    ("yolo.errors",),
    ("yolo.system",),
    ("yolo.classes", "yolo.pictures"),
    ("yolo.boxes",),
    ("yolo.models",),
    ("yolo.settings",),
    ("yolo.data",),
    ("yolo.detector",),
    ("yolo.zoo",),
    ("yolo.evaluation", "yolo.export", "yolo.weights"),
    ("yolo.inference", "yolo.reports"),
    ("yolo.training",),
    ("yolo.ray",),
    ("yolo.cli", "yolo.__main__"),
)
# `yolo` itself forwards names lazily: reaching through it is reaching for their homes.
LAZY_NAMES = yolo._HOMES
APART = ("yolo.models.yolov4", "yolo.models.retinanet")
DETECTORS = ("yolo.detector", "yolo.zoo")


def sources(*folders):
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def module_name(path, root=ROOT):
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path, root=ROOT):
    """Yield (line, module) for every import in a file, those inside functions included."""
    name = module_name(path, root)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                folder = root / Path(*inner.split("."))
                if base == "yolo" and alias.name in LAZY_NAMES:
                    yield node.lineno, LAZY_NAMES[alias.name]
                elif folder.with_suffix(".py").is_file() or folder.is_dir():
                    yield node.lineno, inner
                else:
                    yield node.lineno, base
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in ("import_module", "__import__"):
                yield node.lineno, str(node.args[0].value)


def within(module, package):
    return module == package or module.startswith(package + ".")


def floor(module):
    for number, names in enumerate(FLOORS):
        if any(within(module, name) for name in names):
            return number
    return None


def upward_arrows(root=ROOT):
    """List every import that goes up, or sideways between two detectors, as file:line."""
    found = []
    for package in ("keras_focal", "yolo"):
        for path in sorted((root / package).rglob("*.py")):
            name, place = module_name(path, root), path.relative_to(root).as_posix()
            if name == "yolo":
                continue
            mine = floor(name)
            if mine is None:
                found.append(f"{place}: {name} has no floor yet: give it one in FLOORS")
                continue
            for line, module in imports_of(path, root):
                if module.split(".")[0] not in ("keras_focal", "yolo"):
                    continue
                theirs = floor(module)
                arrow = f"{place}:{line}: {name} (floor {mine}) imports {module}"
                if theirs is None:
                    found.append(f"{arrow}, which has no floor: import the part that is meant")
                elif theirs > mine:
                    found.append(f"{arrow} (floor {theirs}): imports only go down")
                elif any(within(name, one) and within(module, other)
                         for one in APART for other in APART if one != other):  # fmt: skip
                    found.append(f"{arrow}: detectors never import each other")
    return found


def plant(root, path, text):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


# ------------------------------------------------------------------------------- imports


def test_imports_go_one_way():
    arrows = upward_arrows()
    assert not arrows, "\n" + "\n".join(arrows)


@pytest.mark.parametrize(
    "path, text, expected",
    [
        ("yolo/boxes/a.py", "import yolo.detector\n", "yolo/boxes/a.py:1: yolo.boxes.a"),
        ("yolo/data/a.py", "def f():\n    from yolo import build\n", "imports yolo.zoo"),
        ("yolo/data/a.py", "from yolo import zoo\n", "imports yolo.zoo (floor 9)"),
        ("yolo/boxes/a.py", "from ..data import sample\n", "imports yolo.data.sample (floor 7)"),
        ("yolo/data/a.py", "from ..detector import Detector\n", "imports yolo.detector"),
        ("keras_focal/a.py", "class A:\n  def f(s):\n    import yolo.errors\n", "a.py:3"),
        ("yolo/models/yolov4/a.py", "from yolo.models.retinanet import loss\n", "never import"),
        ("yolo/models/retinanet/loss.py", "import yolo.models.yolov4.loss\n", "never import"),
        ("yolo/zoo.py", "import importlib\nimportlib.import_module('yolo.cli')\n", "zoo.py:2"),
        ("yolo/novelty.py", "", "yolo.novelty has no floor"),
        ("yolo/boxes/a.py", "import yolo\n", "import the part that is meant"),
    ],
)
def test_a_planted_upward_import_is_found(tmp_path, path, text, expected):
    detectors = ("models/retinanet/loss", "models/yolov4/loss", "detector", "zoo")
    for module in ("data/sample", *detectors, "cli"):
        plant(tmp_path, f"yolo/{module}.py", "")
    plant(tmp_path, "yolo/data/good.py", "from yolo.errors import YoloError\n")
    assert upward_arrows(tmp_path) == []
    plant(tmp_path, path, text)
    (found,) = upward_arrows(tmp_path)
    assert expected in found


def test_the_picture_of_the_rooms_is_current():
    script = runpy.run_path(str(ROOT / "docs" / "architecture.py"))
    assert script["main"](["--check"]) == 0, "the rooms have changed: python docs/architecture.py"


def test_data_knows_no_detector():
    found = [
        f"{path.relative_to(ROOT).as_posix()}:{line}: {module}"
        for path in sources("yolo/data")
        for line, module in imports_of(path)
        if any(within(module, name) for name in DETECTORS)
    ]
    assert not found, "\n".join(found)


def imports_among(root=ROOT, tops=("keras_focal", "yolo")):
    """Return what each module of some packages imports from them; `yolo` itself is no home."""
    files = [path for top in tops for path in (root / top).rglob("*.py")]
    graph = {module_name(path, root): path for path in files}
    graph.pop("yolo", None)
    return {
        name: {module for _, module in imports_of(path, root) if module in graph} - {name}
        for name, path in graph.items()
    }


def circles(graph):
    """Return what is left of a graph when everything that is in no circle is taken away."""
    graph = {name: set(targets) for name, targets in graph.items()}
    while leaves := [name for name, targets in graph.items() if not targets]:
        for leaf in leaves:
            del graph[leaf]
        for targets in graph.values():
            targets.difference_update(leaves)
    return graph


def circles_of_rooms(root=ROOT):
    """Return the packages, and single modules, that import each other, each with what it needs."""
    graph = {}
    for module, targets in imports_among(root).items():
        here, *there = (".".join(name.split(".")[:2]) for name in (module, *targets))
        graph.setdefault(here, set()).update(set(there) - {here})
    # Whoever imports a circle from outside is left over, too, with nobody who imports it.
    left = circles(graph)
    return circles({room: {one for one in left if room in left[one]} for room in left})


@pytest.mark.parametrize("tops", [("keras_focal", "yolo"), ("benchmarks",), ("tests",)])
def test_no_module_imports_itself_in_a_circle(tops):
    """Imports within one floor are free, but a circle of them is one module in disguise."""
    # A package and its own parts name each other (`from yolo.x import part`); that is no circle.
    found = {
        name: {m for m in targets if not within(m, name) and not within(name, m)}
        for name, targets in circles(imports_among(tops=tops)).items()
    }
    assert not any(found.values()), found


def test_no_room_imports_itself_in_a_circle():
    assert not circles_of_rooms()


def test_a_planted_circle_of_rooms_is_found(tmp_path):
    plant(tmp_path, "yolo/evaluation/voc.py", "")
    plant(tmp_path, "yolo/training/trainer.py", "from yolo.evaluation import voc\n")
    plant(tmp_path, "yolo/training/settings.py", "")
    plant(tmp_path, "yolo/cli.py", "import yolo.training.trainer\n")
    assert circles_of_rooms(tmp_path) == {}
    plant(tmp_path, "yolo/evaluation/page.py", "def f():\n    import yolo.training.settings\n")
    assert set(circles_of_rooms(tmp_path)) == {"yolo.evaluation", "yolo.training"}


def crossings(root=ROOT):
    """List where benchmarks name tests, and where tests name benchmarks that they do not test."""
    found = []
    for here, there in (("benchmarks", "tests"), ("tests", "benchmarks")):
        for path in sorted((root / here).rglob("*.py")):
            place = path.relative_to(root).as_posix()
            if place.startswith("tests/benchmarks/"):
                continue
            named = list(imports_of(path, root))
            named += [  # what `python -m` is given
                (node.lineno, node.value)
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.Constant)
                and re.fullmatch(r"[a-z_]+(\.\w+)+", str(node.value))
            ]
            found += [
                f"{place}:{line}: {module}" for line, module in named if within(module, there)
            ]
    return found


def test_tests_do_not_stand_on_benchmarks_nor_benchmarks_on_tests():
    assert not crossings()


@pytest.mark.parametrize(
    "path, text",
    [
        ("benchmarks/a.py", "def f():\n    from tests.faults.full import small\n"),
        ("benchmarks/a.py", "command = [python,\n'-m', 'tests.faults.full']\n"),
        ("tests/yolo/test_a.py", "import yolo\nimport benchmarks\n"),
        ("tests/faults/a.py", "import importlib\nimportlib.import_module('benchmarks.plan')\n"),
    ],
)
def test_a_planted_crossing_is_found(tmp_path, path, text):
    plant(tmp_path, "benchmarks/plan.py", "import yolo\nimport keras_focal\n")
    plant(tmp_path, "tests/benchmarks/test_plan.py", "from benchmarks import plan\n")
    assert crossings(tmp_path) == []
    plant(tmp_path, path, text)
    assert set(found.rpartition(": ")[0] for found in crossings(tmp_path)) == {f"{path}:2"}


def test_keras_focal_needs_keras_and_numpy_only():
    found = {
        (path.name, module)
        for path in sources("keras_focal")
        for _, module in imports_of(path)
        if module.split(".")[0] not in {"keras_focal", "keras", "numpy", *sys.stdlib_module_names}
    }
    assert {module.split(".")[0] for _, module in found} <= {"matplotlib"}, found


def test_optional_parts_are_imported_where_they_are_used():
    optional = {"matplotlib", "onnx", "onnxruntime", "tf2onnx", "openvino", "ai_edge_litert", "PIL",
                "ray", "supervision", "tensorboard", "torch"}  # fmt: skip
    for path in sources("keras_focal", "yolo"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in getattr(node, "names", ())]
            names.append(getattr(node, "module", None) or "")
            heads = {name.split(".")[0] for name in names}
            assert not (isinstance(node, ast.Import | ast.ImportFrom) and heads & optional), (
                f"{path.relative_to(ROOT)}:{node.lineno}: import it inside the function"
            )


@pytest.mark.parametrize("module", ["yolo", "yolo.cli"])
def test_importing_the_package_loads_no_tensorflow(module):
    heavy = ("tensorflow", "keras", "cv2")
    code = (
        f"import sys, {module}\n"
        f"print(*[name for name in {heavy} if name in sys.modules], 'loaded', sep=' ')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "loaded", "")


# ------------------------------------------------------------------------------- habits


def test_only_the_command_line_prints():
    found = [
        f"{path.relative_to(ROOT).as_posix()}:{node.lineno}"
        for path in sources("keras_focal", "yolo")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
        and path.parent != ROOT / "yolo" / "cli"
    ]
    assert not found, f"print( outside yolo/cli/: {found}"


def without_encoding(text):
    """Yield the line of every text file that is opened in the platform's own encoding."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        owner = getattr(getattr(node.func, "value", None), "id", None)
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        named = {keyword.arg: keyword.value for keyword in node.keywords}
        if called not in ("open", "read_text", "write_text", "fdopen", "NamedTemporaryFile"):
            continue
        if owner in ("os", "webbrowser", "zipfile", "archive") and called == "open":
            continue
        # A mode is the second argument of open(path), the first one of path.open().
        place = 0 if called == "open" and isinstance(node.func, ast.Attribute) else 1
        place = 0 if called == "NamedTemporaryFile" else place
        default = "w+b" if called == "NamedTemporaryFile" else "r"
        mode = named.get("mode", node.args[place] if len(node.args) > place else None)
        mode = getattr(mode, "value", default)
        if called in ("read_text", "write_text"):
            positional = len(node.args) > (called == "write_text")
        else:
            positional = False
        binary = called not in ("read_text", "write_text") and "b" in str(mode)
        if not (binary or positional or "encoding" in named):
            yield node.lineno


@pytest.mark.parametrize(
    "text, wrong",
    [
        ("open('a')", True),
        ("open('a', 'w')", True),
        ("open('a', 'rb')", False),
        ("open('a', encoding='utf-8')", False),
        ("p.open()", True),
        ("p.open('rb+')", False),
        ("p.open(mode='a')", True),
        ("p.read_text()", True),
        ("p.read_text('utf-8')", False),
        ("p.write_text(t)", True),
        ("p.write_text(t, encoding='utf-8')", False),
        ("os.open(p, 0)", False),
        ("tempfile.NamedTemporaryFile('w')", True),
        ("tempfile.NamedTemporaryFile()", False),
    ],
)
def test_the_encoding_test_sees(text, wrong):
    assert bool(list(without_encoding(text))) == wrong


def test_text_files_are_opened_with_their_encoding():
    found = [
        f"{path.relative_to(ROOT).as_posix()}:{line}"
        for path in [*sources("keras_focal", "yolo", "benchmarks", "examples"), *ROOT.glob("*.py")]
        for line in without_encoding(path.read_text(encoding="utf-8"))
    ]
    assert not found, f"text files opened without encoding=: {found}"


def test_scripts_only_call_the_command_line():
    for script in ("train", "predict", "evaluate"):
        path = ROOT / f"{script}.py"
        modules = {module for _, module in imports_of(path)}
        assert modules == {"yolo.system.process", "yolo.cli"}, f"{script}.py imports {modules}"
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 12
