"""One run trained by the workers of a Ray cluster: Ray Train starts, watches and restarts them."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from yolo.errors import ConfigError, YoloError
from yolo.ray.cluster import Cluster
from yolo.settings.train import TrainConfig
from yolo.system.process import end_with_parent
from yolo.system.terminal import counted, import_tensorflow_quietly
from yolo.training import job, run_folder

MAX_FAILURES = 10  # of workers and nodes, after each of which the group starts again
_SECONDS = 0.3  # from one look at what the first worker says to the next


def on(workers: int, **cluster: Any) -> Callable:
    """Return what `yolo.train` takes as its `engine`, of the fields of a `Cluster`.

    Example:
        >>> yolo.train(data="voc", name="one", engine=on(workers=2))  # doctest: +SKIP
    """
    return functools.partial(train, Cluster(workers, **cluster))


def train(
    cluster: Cluster, config: TrainConfig, folder: Path, *, fresh: bool, write: Callable,
    command: str,
) -> job.FinishedRun:  # fmt: skip
    """Train a run on a cluster, settled by `job.train`, of which this is an `engine`.

    Raises:
        YoloError: what cannot be used, said once: it is not tried again.
    """
    if not isinstance(cluster.workers, int):
        raise ConfigError("--workers LEAST,MOST is for prediction; a training takes one number")
    if config.gpus not in (None, "none"):
        raise ConfigError("--gpus is Ray's to choose; --devices says how many a worker gets")
    write(f"starting Ray with {counted(cluster.workers, 'worker')}")
    with cluster.connected() as ray, tempfile.TemporaryDirectory() as unseen:
        from ray.util.queue import Queue
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        # Beside this process, so that no other node takes it along
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        each = cluster.resources(ray, "0" if config.gpus == "none" else config.devices)
        storage = cluster.storage or unseen
        if "://" not in storage:
            storage = str(Path(storage).absolute())
        work = {
            "config": config, "command": command, "folder": folder, "here": str(Path.cwd()),
            "lines": Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here}),
            "copied": storage != unseen,
        }  # fmt: skip
        try:
            if work["copied"]:
                _try_storage(storage, folder.name, fresh=fresh)
            trainer = _trainer(cluster, each, work, storage)
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise ConfigError(f"--storage {storage}: cannot be written ({reason})") from error
        return _followed(ray, trainer, work["lines"], write)


def _try_storage(storage: str, name: str, *, fresh: bool) -> None:
    """Write to a storage, and refuse one that has another run of this name, to go on with."""
    from pyarrow import fs

    system, place = fs.FileSystem.from_uri(storage)
    system.create_dir(place)
    system.open_output_stream(f"{place}/.tried").close()
    system.delete_file(f"{place}/.tried")
    there = system.get_file_info(fs.FileSelector(f"{place}/{name}", allow_not_found=True))
    if fresh and any(file.base_name.startswith("checkpoint_") for file in there):
        raise ConfigError(f"{storage}: has a run {name}; choose another --name, or --continue")


def _trainer(cluster: Cluster, each: dict, work: dict, storage: str) -> Any:
    """Return Ray's trainer of the run."""
    import_tensorflow_quietly(verbose=False)  # as Ray does, with many words
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig, UserCallback
    from ray.train.tensorflow import TensorflowTrainer

    class OnceIsEnough(UserCallback):
        """Ends a run at what no other attempt mends: Ray gives up where a callback raises."""

        def after_exception(self, run_context: Any, worker_exceptions: dict) -> None:
            for error in worker_exceptions.values():
                if isinstance(error, YoloError):
                    raise error

    return TensorflowTrainer(
        _work,
        train_loop_config=work,
        scaling_config=ScalingConfig(
            num_workers=cluster.span[1], use_gpu="GPU" in each, resources_per_worker=each,
            placement_strategy="SPREAD",
        ),
        run_config=RunConfig(
            name=work["folder"].name, storage_path=storage, callbacks=[OnceIsEnough()],
            failure_config=FailureConfig(max_failures=MAX_FAILURES),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
    )  # fmt: skip


def _followed(ray: Any, trainer: Any, lines: Any, write: Callable) -> job.FinishedRun:
    """Run the training, show what its first worker says, and return what it returns."""
    ended: list = []

    def fit() -> None:
        try:
            ended.append(trainer.fit().return_value)
        except (ray.train.TrainingFailedError, ray.exceptions.RayError) as error:
            ended.append(getattr(error, "controller_failure", error))

    thread = threading.Thread(target=fit, daemon=True)  # the main one takes the signals
    thread.start()
    while thread.is_alive():
        thread.join(_SECONDS)
        for line in lines.get_nowait_batch(lines.qsize()):
            write(line)
    outcome = ended[0] if ended else "a fault without words"
    if isinstance(outcome, job.FinishedRun):
        return outcome
    if isinstance(outcome, YoloError):
        raise outcome
    reason = str(outcome).strip().rpartition("\n")[2]
    raise YoloError(f"Ray Train broke off ({reason}); Ray's own logs say more")


def _work(work: dict) -> job.FinishedRun:
    """Train as one of the workers."""
    import keras
    from ray.train import Checkpoint, get_context, report

    end_with_parent()  # Ray's own, which may take a minute to see that its node has gone
    with contextlib.suppress(OSError):  # where relative names mean the same on all nodes
        os.chdir(work["here"])
    folder, first = work["folder"], get_context().get_world_rank() == 0

    def tell(epoch: int, figures: dict) -> None:
        copy = Checkpoint.from_directory(folder) if first and work["copied"] else None
        report({"epoch": epoch + 1, **figures}, checkpoint=copy)

    _see_alike(folder)
    done = job.train(
        work["config"], resume=folder if run_folder.checkpoint_steps(folder) else True,
        command=work["command"], callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=tell)],
        write=lambda text, end="\n": first and work["lines"].put(text),
    )  # fmt: skip
    if work["copied"]:
        tell(work["config"].epochs - 1, {})
    return done


def _see_alike(folder: Path) -> None:
    """Make a run's folder what the storage has of it, and refuse one that the workers see apart."""
    from ray.train import get_checkpoint, get_context
    from ray.train.collective import barrier, broadcast_from_rank_zero

    copy, context = get_checkpoint(), get_context()
    for rank in range(context.get_world_size()):  # nodes may share a disk
        if copy and rank == context.get_world_rank() and context.get_local_rank() == 0:
            shutil.rmtree(folder, ignore_errors=True)
            copy.to_directory(folder)
        barrier()
    mine = run_folder.checkpoint_steps(folder)
    if mine != broadcast_from_rank_zero(mine):
        raise ConfigError(
            f"{folder}: the workers see different states of this run; give --save-dir a folder "
            "that all of them see, or --storage"
        )
