"""Several machines that train one model: who they are, what they agree on, and who is lost."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from yolo.errors import ConfigError, WorkerLost

if TYPE_CHECKING:
    import numpy as np

SIGN_OF_LIFE = "YOLO_SIGN_OF_LIFE"  # the variable that holds the number of the launcher's pipe
SECONDS_BETWEEN_SIGNS = 1.0


@dataclass(frozen=True)
class Cluster:
    """Who trains together.

    Args:
        addresses: host:port of every worker, the chief's first.
        index: which of them this process is.
        chiefs: how many of them TF_CONFIG calls "chief", none or one; they come first.
    """

    addresses: tuple[str, ...] = ("",)
    index: int = 0
    chiefs: int = 0

    @property
    def workers(self) -> int:
        """How many there are."""
        return len(self.addresses)


def read_cluster() -> Cluster:
    """Return the cluster that the environment's TF_CONFIG describes, of one without it.

    Its form is TensorFlow's, as Kubernetes' TFJob, Ray Train and others set it:
    {"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}, with an
    optional "chief" that comes first.

    Raises:
        ConfigError: TF_CONFIG is something else.
    """
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        return Cluster()
    try:
        found = json.loads(text)
        members, task = found["cluster"], found["task"]
        kind, index = task["type"], int(task["index"])
        chiefs, others = list(members.get("chief", [])), list(members.get("worker", []))
        addresses = tuple([*chiefs, *others])
        if set(members) - {"chief", "worker", "evaluator"} or kind not in ("chief", "worker"):
            raise ValueError("only a chief and workers train here")
        if not 0 <= index < len(members[kind]) or not all(isinstance(a, str) for a in addresses):
            raise ValueError(f"there is no {kind} {index}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"TF_CONFIG names no cluster of workers ({error}); expected "
            '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
        ) from error
    return Cluster(addresses, index + (len(chiefs) if kind == "worker" else 0), len(chiefs))


def gather(strategy, values: np.ndarray) -> np.ndarray:
    """Return what each worker says, (workers, n) float64; all of them must ask at once.

    Args:
        strategy: a `MultiWorkerMirroredStrategy`.
        values: (n,) float64, this worker's.
    """
    return _gatherer(strategy)(values).numpy()


@functools.cache
def _gatherer(strategy):
    import tensorflow as tf

    cluster = read_cluster()
    devices = strategy.num_replicas_in_sync // cluster.workers

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.float64)])
    def gathered(values):
        def each(values):
            context = tf.distribute.get_replica_context()
            first = context.replica_id_in_sync_group % devices == 0
            mine = (tf.range(cluster.workers) == cluster.index)[:, None] & first
            return context.all_reduce(
                tf.distribute.ReduceOp.SUM, tf.where(mine, values, tf.zeros_like(values))
            )

        return strategy.experimental_local_results(strategy.run(each, (values,)))[0]

    return gathered


@contextlib.contextmanager
def lost_ones_named():
    """Turn TensorFlow's report that another worker does not answer into one line.

    Raises:
        WorkerLost: another worker has ended or hangs; this one cannot go on alone.
    """
    import tensorflow as tf

    cluster = read_cluster()
    try:
        yield
    except tf.errors.OpError as error:
        if not tells_of_loss(error):
            raise
        place = re.search(r"/job:(chief|worker)/replica:0/task:(\d+)", str(error))
        number = int(place[2]) if place else cluster.index
        if place and place[1] == "worker":
            number += cluster.chiefs
        other = number != cluster.index and number < cluster.workers
        who = f"worker {number} ({cluster.addresses[number]})" if other else "another worker"
        raise WorkerLost(
            f"worker {cluster.index}: {who} no longer answers; start all of them again with "
            "--continue, they go on from the last checkpoint"
        ) from error


def tells_of_loss(error: Exception) -> bool:
    """Tell whether one of TensorFlow's errors says that another worker does not answer."""
    import tensorflow as tf

    kinds = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError,
             tf.errors.FailedPreconditionError)  # fmt: skip
    return isinstance(error, kinds) and read_cluster().workers > 1


def show_signs_of_life() -> None:
    """Tell the launcher, if there is one, every second that this process lives.

    When nobody listens any more the process ends: nobody would ever stop it.
    """
    pipe = os.environ.pop(SIGN_OF_LIFE, None)
    if pipe is None:
        return

    def beat():
        while True:
            try:
                os.write(int(pipe), b".")
            except OSError:
                os._exit(WorkerLost.exit_code)
            time.sleep(SECONDS_BETWEEN_SIGNS)

    threading.Thread(target=beat, name="signs of life", daemon=True).start()
