"""Child processes that need not load TensorFlow: forked off one that has done nothing else.

To load it takes three seconds of processor time, more than most of what tests ask of a child. A
test of what a process does while it starts takes `subprocess` itself.
"""

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


def run(words, *, cwd, env=None, timeout=240) -> subprocess.CompletedProcess:
    """Run a program of Python as `subprocess.run` does; return its code, output and errors.

    Args:
        words: the interpreter, then "-c" with code, "-m" with a module or a script, and arguments.
        cwd: the folder it runs in.
        env: its environment; this one's for None. A variable that TensorFlow reads when it is
            loaded has no effect.
        timeout: seconds.
    """
    env = dict(os.environ) if env is None else env
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return subprocess.run(
            words, cwd=cwd, env=env, capture_output=True, encoding="utf-8", timeout=timeout
        )
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LOADED)
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        work = ([str(word) for word in words[1:]], str(cwd), env, str(out), str(err))
        process = context.Process(target=_become, args=work)
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(words, timeout, out.read_bytes(), err.read_bytes())
        texts = [file.read_text(encoding="utf-8", errors="replace") for file in (out, err)]
    return subprocess.CompletedProcess(words, process.exitcode, *texts)


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
