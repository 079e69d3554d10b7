"""Who trains together, what they agree on, and that one of them alone writes."""

import json
import signal

import numpy as np
import pytest

from benchmarks.faults import small
from yolo.errors import ConfigError, WorkerLost
from yolo.training import checkpoint, trainer, workers
from yolo.training.devices import Team
from yolo.training.trainer import _refuse_strangers
from yolo.yolov4 import network


def config_of(cluster, kind="worker", index=0):
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


TWO = {"worker": ["a:1", "b:2"]}
CHIEF = {"chief": ["c:0"], "worker": ["a:1", "b:2"]}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", workers.Cluster()),
        (config_of(TWO, index=1), workers.Cluster(("a:1", "b:2"), 1)),
        (config_of(CHIEF, "chief"), workers.Cluster(("c:0", "a:1", "b:2"), 0, 1)),
        (config_of(CHIEF, "worker", 1), workers.Cluster(("c:0", "a:1", "b:2"), 2, 1)),
    ],
)
def test_tf_config_is_read(monkeypatch, text, expected):
    monkeypatch.setenv("TF_CONFIG", text)
    assert workers.read_cluster() == expected


@pytest.mark.parametrize(
    "text, words",
    [
        ("{", "names no cluster"),
        ("[]", "names no cluster"),
        ('{"cluster": {"worker": ["a:1"]}}', "'task'"),
        (config_of(TWO, index=2), "there is no worker 2"),
        (config_of(TWO, "chief"), "'chief'"),
        (config_of({**TWO, "ps": ["p:1"]}), "only a chief and workers"),
        (config_of(TWO, "evaluator"), "only a chief and workers"),
        (config_of({"worker": [1, 2]}), "there is no worker 0"),
    ],
)
def test_a_tf_config_that_makes_no_sense(monkeypatch, text, words):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigError, match=words) as caught:
        workers.read_cluster()
    assert "\n" not in str(caught.value)


def test_the_lost_worker_is_named(monkeypatch):
    import tensorflow as tf

    monkeypatch.setenv("TF_CONFIG", config_of(CHIEF, "worker", 0))
    message = "cluster check alive failed, /job:worker/replica:0/task:1 is down"
    with pytest.raises(WorkerLost, match=r"^worker 1: worker 2 \(b:2\) no longer") as caught:
        with workers.lost_ones_named():
            raise tf.errors.UnavailableError(None, None, message)
    assert caught.value.exit_code == 75
    with pytest.raises(WorkerLost, match="another worker no longer"):
        with workers.lost_ones_named():
            raise tf.errors.AbortedError(None, None, "Connection reset by peer")
    monkeypatch.delenv("TF_CONFIG")
    with pytest.raises(tf.errors.UnavailableError), workers.lost_ones_named():
        raise tf.errors.UnavailableError(None, None, message)


class Told(Team):
    """One worker alone, that hears what its test says of the others."""

    def __init__(self, *others, worker=0):
        super().__init__(worker=worker)
        self.others = others

    def share(self, dataset):
        return Team().share(dataset)

    def everyone(self, *values):
        said = np.zeros((1 + len(self.others), len(values)))
        said[self.worker] = values
        for row, other in zip((n for n in range(len(said)) if n != self.worker), self.others,
                              strict=True):  # fmt: skip
            said[row, : len(other)] = other[: len(values)]
        return said


@pytest.fixture
def train_as(small_run, tmp_path, monkeypatch):
    """Return a function that runs the small training as some worker."""
    monkeypatch.setattr(network, "build_network", small.build_network)

    def run(team, **changes):
        monkeypatch.setattr(trainer, "set_up", lambda config: team)
        return small_run(tmp_path, **changes)

    return run


def test_only_the_chief_writes(train_as):
    folder, lines = train_as(Told([0.5], worker=1), epochs=2)
    assert sorted(path.name for path in folder.rglob("*")) == ["nothing-saved-yet", "plots"]
    assert any("mAP50 0.5000" in line and "best so far" in line for line in lines)


def test_a_signal_to_another_worker_ends_all_at_the_same_batch(train_as):
    folder, lines = train_as(Told([signal.SIGTERM, 0]))
    assert lines[-1] == "interrupted"
    assert checkpoint.newest(folder)[0].step == 1


def test_workers_that_would_not_train_the_same_are_refused(tmp_path):
    class Two(Team):
        def everyone(self, *values):
            return np.array([values, self.other])

    team, state = Two(workers=2), checkpoint.State(step=3, origin={"seed": 1})
    team.other = (0, 3)
    with pytest.raises(ConfigError, match="worker 1 has other settings or pictures than worker 0"):
        _refuse_strangers(team, state, tmp_path)
    team.other = (0, 2)
    with pytest.raises(ConfigError, match="worker 0 goes on from step 3, worker 1 from step 2"):
        _refuse_strangers(team, state, tmp_path)
