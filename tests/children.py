"""Child processes that need not load TensorFlow: forked off one that has done nothing else.

To load it takes three seconds of processor time, more than most of what tests ask of a child. A
test of what a process does while it starts takes `subprocess` itself.
"""

import contextlib
import io
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOADED = ["tensorflow", "keras", "cv2", "h5py", "matplotlib.pyplot"]


class Child:
    """A program of Python at work, in a process that had TensorFlow loaded before.

    Args:
        words: the interpreter, then "-c" with code, "-m" with a module or a script, and arguments.
        cwd: the folder it runs in.
        env: its environment; this one's for None. A variable that TensorFlow reads when it is
            loaded has no effect.
    """

    def __init__(self, words, *, cwd, env=None):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(LOADED)
        self.words, self._folder = words, tempfile.TemporaryDirectory()
        self._files = [Path(self._folder.name) / name for name in ("out", "err")]
        env = dict(os.environ) if env is None else env
        work = ([str(word) for word in words[1:]], str(cwd), env, *map(str, self._files))
        self._process = context.Process(target=_become, args=work)
        self._process.start()
        self.pid, self.poll = self._process.pid, lambda: self._process.exitcode

    def said(self) -> list[str]:
        """Return its output and its errors so far."""
        return [
            file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
            for file in self._files
        ]

    def send_signal(self, number: int) -> None:
        """Send it a signal unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self, timeout: float | None = 240) -> subprocess.CompletedProcess:
        """Return its code, output and errors at its end, which comes after `timeout` seconds."""
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            self._process.kill()
            self._process.join()
        said = self.said()
        self._folder.cleanup()
        if code is None:
            raise subprocess.TimeoutExpired(self.words, timeout, *said)
        return subprocess.CompletedProcess(self.words, code, *said)


def run(words, *, cwd, env=None, timeout=240) -> subprocess.CompletedProcess:
    """Run a program of Python as `subprocess.run` does; return its code, output and errors.

    Its arguments are those of `Child`, and for how many seconds it may run.
    """
    if "forkserver" in multiprocessing.get_all_start_methods():
        return Child(words, cwd=cwd, env=env).wait(timeout)
    return subprocess.run(
        words, cwd=cwd, env=env, capture_output=True, encoding="utf-8", timeout=timeout
    )


def _become(words, cwd, env, out, err):
    """Be the program that the words of a command line name."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    for number, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(open(number, "wb", 0, closefd=False), "utf-8", write_through=True)  # noqa: PTH123, SIM115
        for number in (1, 2)
    )
    first, *rest = words
    named = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [*named, *(path for path in sys.path if path not in ("", str(ROOT)))]
    if first == "-c":
        code, *arguments = rest
        sys.argv, sys.path[:0] = ["-c", *arguments], [""]
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
    elif first == "-m":
        module, *arguments = rest
        sys.argv, sys.path[:0] = [module, *arguments], [cwd]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[:0] = [first, *rest], [str(Path(first).parent)]
        runpy.run_path(first, run_name="__main__")
