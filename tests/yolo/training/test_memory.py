"""The batch size that memory allows, with memory that runs out when it is told to."""

import pytest
import tensorflow as tf

from yolo.detector import Detector
from yolo.training import memory, run_folder
from yolo.training.settings import TrainConfig


def out_of_memory():
    return tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


def runner(limit, tried, error=out_of_memory):
    def run(config):
        tried.append((config.batch_size, config.freeze_batch_size))
        if config.batch_size > limit:
            raise error()
        return config.batch_size

    return run


@pytest.mark.parametrize(
    "pictures, gpus, expected",
    [(1, 1, 4), (32, 1, 4), (1024, 1, 64), (10**6, 1, 64), (10**6, 0, 16), (10**6, 4, 256),
     (200, 0, 8)],
)  # fmt: skip
def test_where_auto_begins(pictures, gpus, expected):
    assert memory.first_batch_size(pictures, gpus=gpus) == expected


@pytest.mark.parametrize("error", [out_of_memory, MemoryError])
def test_it_halves_until_it_fits_and_says_so(tmp_path, error):
    tried, lines = [], []
    config = TrainConfig(batch_size=16, freeze_batch_size=32)
    found = memory.halve_until_it_fits(
        runner(5, tried, error), config, tmp_path, write=lines.append
    )  # fmt: skip
    assert found == 4 and tried == [(16, 32), (8, 16), (4, 8)]
    assert lines == [
        "a batch of 16 does not fit into memory: trying 8",
        "a batch of 8 does not fit into memory: trying 4",
    ]


def test_a_batch_of_one_is_the_end(tmp_path):
    tried = []
    with pytest.raises(tf.errors.ResourceExhaustedError):
        memory.halve_until_it_fits(
            runner(0, tried), TrainConfig(batch_size=4), tmp_path, write=print, least=2
        )
    assert [size for size, _ in tried] == [4, 2]


def test_a_run_with_saved_epochs_keeps_its_batch(tmp_path):
    run_folder.checkpoint_path(tmp_path, 4).mkdir(parents=True)
    tried = []
    with pytest.raises(tf.errors.ResourceExhaustedError):
        memory.halve_until_it_fits(
            runner(0, tried), TrainConfig(batch_size=4), tmp_path, write=print
        )
    assert len(tried) == 1


def test_a_real_run_starts_anew_with_half_the_batch(small_run, tmp_path, monkeypatch):
    honest = Detector.compute_loss
    sizes = []

    def limited(self, x=None, y=None, *args, **kwargs):
        sizes.append(int(y["boxes"].shape[0]))
        if sizes[-1] > 2:
            raise out_of_memory()
        return honest(self, x, y, *args, **kwargs)

    monkeypatch.setattr(Detector, "compute_loss", limited)
    lines, runs = [], []

    def run(config):
        runs.append(config.batch_size)
        name = f"try {len(runs)}"
        return small_run(tmp_path / name, batch_size=config.batch_size, epochs=1,
                         epochs_between_evaluations=0)[0]  # fmt: skip

    folder = memory.halve_until_it_fits(
        run, TrainConfig(batch_size=4), tmp_path, write=lines.append
    )
    assert runs == [4, 2] and len(lines) == 1
    assert sizes[0] == 4 and set(sizes[1:]) == {2}
    assert folder == tmp_path / "try 2" / "run" and (folder / "last.keras").is_file()
