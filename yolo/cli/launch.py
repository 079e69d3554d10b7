"""`python -m yolo launch`: workers of one training on this machine, watched and started again."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from yolo import options, terminal
from yolo.cli import common
from yolo.errors import ConfigError, WorkerLost, YoloError
from yolo.process import ending_signals
from yolo.signals import Stop
from yolo.training import run_folder, toml
from yolo.training.settings import TrainConfig
from yolo.training.workers import SIGN_OF_LIFE

TRAIN = (sys.executable, "-m", "yolo", "train")
STOPPED = tuple(128 + number for number in ending_signals())
SETTLING = 2.0  # seconds in which workers that end together are taken together
LINES_SHOWN = 5


def launch(args, screen: terminal.Screen, *, stop: Stop, program: Sequence[str] = ()) -> int:
    """Run the command and return the workers' exit code.

    Args:
        args: of `launch_parser`.
        screen: for lines to show.
        stop: notes signals, which are passed on to the workers.
        program: what a worker runs before the options of train.py; by default `TRAIN`.
    """
    if os.name == "nt":
        raise ConfigError("launch needs Linux or macOS")
    arguments = _arguments(args.command)
    given = vars(options.train_parser().parse_args(arguments))
    if given["config"]:
        given = {**toml.read_toml(given["config"]), **given}
    least = args.min_workers or args.workers
    batch = given.get("batch_size", TrainConfig.batch_size)
    if least > args.workers:
        raise ConfigError(f"--min-workers {least} is more than --workers {args.workers}")
    if given["resume"]:
        folder = Path(given["resume"])
    else:
        name = given.get("name") or time.strftime("%Y-%m-%d_%H-%M-%S")
        folder = Path(given.get("save_dir", TrainConfig.save_dir)) / name
        arguments += ["--name", name, "--continue"]
    group = Group([*(program or TRAIN), *arguments], args.silence, screen, stop)
    stop.last_line = group.kill  # on a second signal, or whatever else ends the launcher
    stop.defer()
    screen.outlive()
    workers, tries, reached = args.workers, 0, _newest(folder)
    try:
        while True:
            code = group.run(workers)
            if code in STOPPED and _newest(folder):
                screen.finish()
                again = f"--workers {workers} -- train --resume {common.quoted(folder)}"
                screen.write(f"or, on {workers} workers: {args.prog} {again}")
            if code != WorkerLost.exit_code:
                return code
            newest = _newest(folder)
            tries, reached = (tries + 1 if newest == reached else 1), newest
            if tries > args.restarts:
                raise YoloError(f"{tries} workers in a row were lost without a new checkpoint")
            workers = next(
                (n for n in range(workers - 1, least - 1, -1) if batch and batch % n == 0), workers
            )
            screen.write(
                f"starting {workers} workers again"
                + (f", from step {newest}" if newest else ", from the beginning")
            )
    finally:
        group.kill()


class Group:
    """The workers of one start.

    Args:
        command: what each of them runs.
        silence: seconds without a sign of life after which one is lost.
        screen: for lines to show.
        stop: notes signals.
    """

    def __init__(self, command: list[str], silence: float, screen, stop: Stop):
        self.command, self.silence = command, silence
        self.screen, self.stop = screen, stop
        self.processes: list[subprocess.Popen] = []
        self.pipes: dict[int, int] = {}  # the end that signs of life are read from, by worker

    def run(self, workers: int) -> int:
        """Start so many workers; return their exit code, or that of a lost worker."""
        with tempfile.TemporaryDirectory(prefix="workers-") as logs:
            self._start(workers, Path(logs))
            try:
                code = self._watch()
            finally:
                self.kill()
            if code not in (0, WorkerLost.exit_code, *STOPPED) and not self.codes[0] == code:
                self._show_other(code, Path(logs))
        return code

    @property
    def codes(self) -> list[int | None]:
        """What each worker ended with, None for those at work."""
        return [process.poll() for process in self.processes]

    def _start(self, workers: int, logs: Path) -> None:
        addresses = _free_addresses(workers)
        graphics = _divided(_gpus(), workers)
        self.processes, self.pipes = [], {}
        for number in range(workers):
            reading, writing = os.pipe()
            task = {"type": "worker", "index": number}
            environment = {
                **os.environ,
                "TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": task}),
                SIGN_OF_LIFE: str(writing),
                "PYTHONIOENCODING": "utf-8",
            }
            if graphics:
                environment["CUDA_VISIBLE_DEVICES"] = graphics[number]
            # The chief speaks for all; what another says is shown only if it alone fails.
            with contextlib.ExitStack() as stack:
                out = err = None
                if number:
                    out = stack.enter_context((logs / f"{number}.out").open("wb"))
                    err = stack.enter_context((logs / f"{number}.err").open("wb"))
                # In a session of its own, so that Ctrl-C reaches it once only, through us
                self.processes.append(subprocess.Popen(
                    self.command, env=environment, pass_fds=(writing,), stdin=subprocess.DEVNULL,
                    stdout=out, stderr=err, start_new_session=True,
                ))  # fmt: skip
            os.close(writing)
            self.pipes[number] = reading

    def _watch(self) -> int:
        """Wait until all have ended or one is lost."""
        heard = dict.fromkeys(self.pipes, time.monotonic())
        passed_on, ended = False, None
        while True:
            for number in self._speaking():
                heard[number] = time.monotonic()
            if self.stop.requested and not passed_on:
                passed_on = True
                self._send(self.stop.number)
            codes = self.codes
            if None not in codes:
                return self._verdict(codes)
            now = time.monotonic()
            if any(codes):
                ended = ended or now
                # After a signal the others are about to end by themselves.
                others_end = all(code in (None, 0, *STOPPED) for code in codes)
                if now - ended > (self.silence if others_end else SETTLING):
                    return self._verdict(codes)
            silent = [n for n, code in enumerate(codes)
                      if code is None and now - heard[n] > self.silence]  # fmt: skip
            if silent:
                self.screen.finish()
                self.screen.write(
                    f"worker {silent[0]} (process {self.processes[silent[0]].pid}) has given no "
                    f"sign of life for {self.silence} seconds"
                )
                return 128 + self.stop.number if self.stop.requested else WorkerLost.exit_code

    def _verdict(self, codes) -> int:
        """Return the exit code of workers of whom some have ended."""
        if not any(code is None or code for code in codes):
            return 0
        if self.stop.requested:
            return 128 + self.stop.number
        own = [code for code in codes if code and code > 0 and code != WorkerLost.exit_code]
        if own:
            return own[0]
        self.screen.finish()
        for number, code in enumerate(codes):
            who = f"worker {number} (process {self.processes[number].pid})"
            if code is None and not min(filter(None, codes)) < 0:
                self.screen.write(f"{who} no longer answers the others")
            if code and code < 0:
                self.screen.write(f"{who} was ended by {signal.Signals(-code).name}")
        return WorkerLost.exit_code

    def _speaking(self) -> list[int]:
        """Return which workers gave a sign of life, after a fifth of a second at most."""
        if not self.pipes:
            time.sleep(0.2)
            return []
        by_pipe = {pipe: number for number, pipe in self.pipes.items()}
        ready, _, _ = select.select(list(by_pipe), [], [], 0.2)
        spoken = []
        for pipe in ready:
            if os.read(pipe, 4096):
                spoken.append(by_pipe[pipe])
            else:  # it has ended
                os.close(self.pipes.pop(by_pipe[pipe]))
        return spoken

    def _send(self, number: int) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(number)

    def kill(self) -> str:
        """End all workers and what they have started, at once."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for pipe in self.pipes.values():
            os.close(pipe)
        self.pipes = {}
        return ""

    def _show_other(self, code: int, logs: Path) -> None:
        number = self.codes.index(code)
        said = (logs / f"{number}.err").read_text(encoding="utf-8", errors="replace")
        for line in said.splitlines()[-LINES_SHOWN:]:
            self.screen.write(f"worker {number}: {line}")


def _arguments(command: list[str]) -> list[str]:
    """Return the options of train.py from what stands behind --."""
    command = command[1:] if command[:1] == ["--"] else command
    if command[:1] != ["train"]:
        raise ConfigError("expected a training behind --: launch --workers 2 -- train --data ...")
    return command[1:]


def _newest(folder: Path) -> int:
    return max(run_folder.checkpoint_steps(folder), default=0)


def _free_addresses(number: int) -> list[str]:
    """Return addresses on this machine that nobody listens at."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]


def _gpus() -> list[str]:
    """Return the names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES has them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name for name in chosen.split(",") if name not in ("", "-1")]
    return [path.name[6:] for path in sorted(Path("/dev").glob("nvidia[0-9]*"))]


def _divided(names: list[str], workers: int) -> list[str]:
    """Return each worker's GPUs, nothing where there are none.

    Raises:
        ConfigError: they do not divide.
    """
    if len(names) % workers:
        raise ConfigError(
            f"{len(names)} GPUs do not divide among {workers} workers; choose others in "
            "CUDA_VISIBLE_DEVICES"
        )
    each = len(names) // workers
    return [",".join(names[i * each : (i + 1) * each]) for i in range(workers)] if each else []
