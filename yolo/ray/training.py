"""One run trained by the workers of a Ray cluster: Ray Train starts, watches and restarts them."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from yolo.errors import ConfigError, YoloError
from yolo.ray.cluster import Cluster, go_to, packed, unpacked
from yolo.settings.train import TrainConfig
from yolo.training import job, run_folder

MAX_FAILURES = 10  # of workers and nodes, after each of which the group starts again
_OF_RAY = (OSError, RuntimeError, ValueError)  # what Ray and its storage raise besides their own
_SECONDS = 0.3  # from one look at what the workers say to the next


def on(workers: int, **cluster: Any) -> Callable:
    """Return what `yolo.train` takes as its `engine`.

    Args:
        workers: processes that train together.
        **cluster: the other fields of `Cluster`.

    Example:
        >>> yolo.train(data="voc", name="one", engine=on(workers=2))  # doctest: +SKIP
    """
    return functools.partial(train, Cluster(workers, **cluster))


def train(
    cluster: Cluster, config: TrainConfig, folder: Path, *, fresh: bool, write: Callable,
    command: str,
) -> job.FinishedRun:  # fmt: skip
    """Train a run that is settled on a cluster.

    Args:
        cluster: where.
        config: its settings, with its data.
        folder: where it has, or will have, its files.
        fresh: whether it is a new one.
        write: called with each line that the first worker shows.
        command: what started it.

    Raises:
        YoloError: what cannot be used, said once: it is not tried again.
    """
    if not isinstance(cluster.workers, int):
        raise ConfigError("--workers LEAST,MOST is for prediction; a training takes one number")
    if config.gpus not in (None, "none"):
        raise ConfigError("--gpus is Ray's to choose; --devices says how many a worker gets")
    _refuse_unwritable(folder.absolute())
    parent, alone = folder.absolute().parent, not folder.parent.exists()
    ours = cluster.storage or str(parent / f".{folder.name}.ray")
    if "://" not in ours:
        ours = str(Path(ours).absolute())
    with contextlib.ExitStack() as at_the_end, cluster.connected() as ray:
        each = cluster.resources(ray, "0" if config.gpus == "none" else config.devices)
        if cluster.storage:
            _refuse_other_run(ours, folder.name, fresh=fresh)
        else:  # what Ray notes of a run is worth nothing without Ray
            at_the_end.callback(_remove, Path(ours), alone)
        notes = ray.remote(num_cpus=0)(_Notes).remote()
        work = {
            "config": config, "command": command, "notes": notes, "folder": folder,
            "here": str(Path.cwd()), "copied": cluster.storage is not None,
        }  # fmt: skip
        _follow(ray, _trainer(cluster, each, work, ours), notes, write)
        failed, done = ray.get(notes.outcome.remote())
    if failed:
        raise unpacked(failed)
    return done


def _remove(folder: Path, alone: bool) -> None:
    """Remove a folder, and the one that it lies in if that is empty and was made for it."""
    shutil.rmtree(folder, ignore_errors=True)
    if alone:
        with contextlib.suppress(OSError):
            folder.parent.rmdir()


def _trainer(cluster: Cluster, each: dict, work: dict, storage: str) -> Any:
    """Return Ray's trainer of the run."""
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
    from ray.train.tensorflow import TensorflowTrainer

    return TensorflowTrainer(
        _work,
        train_loop_config=work,
        scaling_config=ScalingConfig(
            num_workers=cluster.most, use_gpu="GPU" in each, resources_per_worker=each,
            placement_strategy="SPREAD",
        ),
        run_config=RunConfig(
            name=work["folder"].name, storage_path=storage,
            failure_config=FailureConfig(max_failures=MAX_FAILURES),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
    )  # fmt: skip


def _follow(ray: Any, trainer: Any, notes: Any, write: Callable) -> None:
    """Run the training, and show what its first worker says."""
    ended: list[BaseException | None] = []

    def fit() -> None:
        try:
            trainer.fit()
        except (ray.train.TrainingFailedError, ray.exceptions.RayError, *_OF_RAY) as error:
            ended.append(error)
        else:
            ended.append(None)

    thread = threading.Thread(target=fit, daemon=True)  # the main one takes the signals
    thread.start()
    while thread.is_alive():
        thread.join(_SECONDS)
        for line in ray.get(notes.take.remote()):
            write(line)
    if ended != [None] and not ray.get(notes.outcome.remote())[0]:
        reason = str(*ended).strip().splitlines() or ["a fault without words"]
        raise YoloError(
            f"Ray Train broke off ({reason[-1]}), after {MAX_FAILURES} new attempts if workers "
            "failed; Ray's own logs say more"
        )


class _Notes:
    """An actor to which the workers tell what the command shall know."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.failed: dict | None = None
        self.done: job.FinishedRun | None = None

    def say(self, line: str) -> None:
        self.lines.append(line)

    def take(self) -> list[str]:
        taken, self.lines = self.lines, []
        return taken

    def fail(self, failed: dict) -> None:
        self.failed = self.failed or failed

    def end(self, done: job.FinishedRun) -> None:
        self.done = done

    def outcome(self) -> tuple[dict | None, job.FinishedRun | None]:
        return self.failed, self.done


def _work(work: dict) -> None:
    """Train as one of the workers."""
    import keras
    import ray
    from ray.train import Checkpoint, report

    notes, folder = work["notes"], work["folder"]
    if ray.get(notes.outcome.remote())[0]:
        return  # started again after what no other attempt will mend
    go_to(work["here"])
    first = ray.train.get_context().get_world_rank() == 0

    def tell(figures: dict) -> None:
        copied = first and work["copied"] and folder.is_dir()
        report(figures, checkpoint=Checkpoint.from_directory(folder) if copied else None)

    told = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: tell(
            {"epoch": epoch + 1, **{name: float(value) for name, value in logs.items()}}
        )
    )
    try:
        if work["copied"]:
            _restore(folder)
        _refuse_other_state(folder)
        resume = folder if run_folder.checkpoint_steps(folder) else True
        done = job.train(
            work["config"], resume=resume, command=work["command"], callbacks=[told],
            write=lambda text, end="\n": first and notes.say.remote(text),
        )  # fmt: skip
        if work["copied"]:
            tell({})
        if first:
            ray.get(notes.end.remote(done))
    except YoloError as error:
        ray.get(notes.fail.remote(packed(error)))
        raise


def _restore(folder: Path) -> None:
    """Make a run's folder what the storage has of it; where nodes share a disk, one by one."""
    from ray.train import get_checkpoint, get_context
    from ray.train.collective import barrier

    copy, context = get_checkpoint(), get_context()
    for rank in range(context.get_world_size()):
        if copy and rank == context.get_world_rank() and context.get_local_rank() == 0:
            shutil.rmtree(folder, ignore_errors=True)
            copy.to_directory(folder)
        barrier()


def _refuse_other_state(folder: Path) -> None:
    """Refuse to go on from another checkpoint than the first worker."""
    from ray.train.collective import broadcast_from_rank_zero

    mine = run_folder.checkpoint_steps(folder)
    if mine != broadcast_from_rank_zero(mine):
        raise ConfigError(
            f"{folder}: the workers see different states of this run; give --save-dir a folder "
            "that all of them see, or --storage"
        )


def _refuse_unwritable(folder: Path) -> None:
    """Refuse a place for a run that cannot be written, before anything is started."""
    above = next(path for path in (folder, *folder.parents) if path.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise ConfigError(f"{folder}: cannot be written; name another place with --save-dir")


def _refuse_other_run(storage: str, name: str, *, fresh: bool) -> None:
    """Refuse a storage that cannot be written, and one that has another run of this name."""
    from pyarrow import fs

    try:
        system, place = fs.FileSystem.from_uri(storage)
        taken = fresh and system.get_file_info(f"{place}/{name}").type != fs.FileType.NotFound
        system.create_dir(place)
        system.open_output_stream(f"{place}/.written").close()
        system.delete_file(f"{place}/.written")
    except (OSError, ValueError) as error:
        raise ConfigError(f"--storage {storage}: cannot be written ({error})") from error
    if taken:
        raise ConfigError(f"{storage}: has a run {name}; choose another --name, or --continue")
