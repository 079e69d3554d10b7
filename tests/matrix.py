"""The tests under other Pythons and other versions of what we stand on: `make test-matrix`.

Each cell is an environment of its own in `.venv-matrix/`, made by uv and kept until `make clean`.
A Python that is not installed is passed over with a line; none is downloaded.

    python tests/matrix.py                      every cell, the whole suite
    python tests/matrix.py lowest               one cell
    python tests/matrix.py lowest -- -q tests/keras_focal      one cell, some tests
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".venv-matrix"
# Python and uv's way to choose versions. "lowest-direct" takes the lowest that setup.cfg admits of
# each package it names (OpenCV 4.11 among them), "highest" the newest (OpenCV 5). The lowest ones
# have no wheels for the newest Python, so that they meet the lowest.
CELLS = {
    "lowest": ("3.11", "lowest-direct"),
    "3.11": ("3.11", "highest"),
    "3.12": ("3.12", "highest"),
    "3.13": ("3.13", "highest"),
}
SHOWN = ("keras", "tensorflow", "numpy", "opencv-python-headless", "h5py", "matplotlib")


def find_python(version: str) -> str | None:
    """Return an interpreter of this version that starts: on the PATH, of pyenv or of uv."""
    name = f"python{version}"
    places = [Path(folder) / name for folder in os.environ.get("PATH", "").split(os.pathsep)]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    places += sorted(pyenv.glob(f"versions/{version}.*/bin/{name}"))
    places += sorted(Path.home().glob(f".local/share/uv/python/cpython-{version}.*/bin/{name}"))
    for place in places:
        # A shim of pyenv's stands on the PATH whether its Python is switched on or not.
        if (
            place.is_file()
            and not subprocess.run([place, "-c", ""], capture_output=True).returncode
        ):
            return str(place)
    return None


def uv(*arguments: object) -> None:
    """Run uv, which may download packages but no Python."""
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    command = [sys.executable, "-m", "uv", *map(str, arguments)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def make(cell: str) -> Path | None:
    """Make a cell's environment, unless it stands; return its interpreter, None without Python."""
    version, resolution = CELLS[cell]
    environment = FOLDER / cell
    python = environment / "bin" / "python"
    if (environment / "complete").exists():
        return python
    found = find_python(version)
    if found is None:
        return None
    uv("venv", "--quiet", "--clear", "--python", found, environment)
    uv("pip", "install", "--quiet", "--python", environment, "--resolution", resolution, "-e", ".")
    uv("pip", "install", "--quiet", "--python", environment, "-e", ".[test]")
    (environment / "complete").touch()
    return python


def versions(python: Path) -> str:
    """Return the versions that a cell came to."""
    program = (
        "import platform; from importlib.metadata import version; "
        f"print('Python', platform.python_version(), *(f'{{n}} {{version(n)}}' for n in {SHOWN}))"
    )
    return subprocess.run(
        [python, "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()


def main(arguments: list[str]) -> int:
    """Run the tests in the cells named; return 1 if some failed."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    cells, tests = arguments[:split] or list(CELLS), arguments[split + 1 :] or ["--long"]
    for cell in cells:
        if cell not in CELLS:
            print(f"there is no cell {cell!r}; there are {', '.join(CELLS)}", file=sys.stderr)
            return 2
    outcome = {}
    for cell in cells:
        python = make(cell)
        if python is None:
            outcome[cell] = f"passed over: no Python {CELLS[cell][0]} here"
            continue
        about = versions(python)
        print(f"== {cell}: {about}", flush=True)
        code = subprocess.run([python, "-m", "pytest", *tests], cwd=ROOT).returncode
        outcome[cell] = f"{'passed' if code == 0 else f'FAILED (pytest {code})'}: {about}"
    for cell, line in outcome.items():
        print(f"{cell:7}{line}")
    return int(any(line.startswith("FAILED") for line in outcome.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
