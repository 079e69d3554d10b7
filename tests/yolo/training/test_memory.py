"""The batch size that memory allows, with memory that runs out when it is told to."""

import contextlib
import io
import traceback

import pytest
import tensorflow as tf

from yolo.data import folder as dataset
from yolo.detector import Detector
from yolo.errors import DatasetError, OutOfMemory
from yolo.settings.train import TrainConfig
from yolo.training import memory, run_folder, trainer, trial


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


@pytest.mark.long
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


# --------------------------------------------------------------------- in a process of its own


def test_trials_halve_it_until_one_survives():
    tried, lines = [], []

    def want_of_memory(config, data):
        tried.append((config.batch_size, config.freeze_batch_size, data))
        return "ended by SIGKILL" if config.batch_size > 3 else None

    config = TrainConfig(batch_size=16, freeze_batch_size=32)
    found = memory.halve_until_trials_fit(
        config, "pictures", write=lines.append, want_of_memory=want_of_memory
    )
    assert (found.batch_size, found.freeze_batch_size) == (2, 4)
    assert tried == [(16, 32, "pictures"), (8, 16, "pictures"), (4, 8, "pictures"),
                     (2, 4, "pictures")]  # fmt: skip
    assert lines[-1] == "a batch of 4 does not fit into memory (ended by SIGKILL): trying 2"
    found = memory.halve_until_trials_fit(
        config, None, write=lines.append, want_of_memory=lambda *_: "MemoryError"
    )  # fmt: skip
    assert found.batch_size == 1, "the run itself says what is wrong then"


def test_a_trial_takes_real_steps_and_leaves_nothing(shapes, tmp_path, monkeypatch):
    """The smallest picture; `eager`, since tracing takes longer than two steps."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    config = TrainConfig(data=str(shapes), image_size=(64, 64), batch_size=2, eager=True,
                         epochs_between_evaluations=0, precision="float32",
                         save_dir=str(tmp_path / "logs"))  # fmt: skip
    data = dataset.open_data(config)
    assert trial.take_steps(config, data)[0] == 0
    # TensorFlow's generated code is compiled where its temporary files are.
    assert not [path for path in tmp_path.iterdir() if path.name != "__pycache__"]


def test_the_last_words_are_no_remark_of_tensorflows():
    remarks = (
        "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
        "I0000 00:00:1795395469.147853     408 cudart_stub.cc:31] Could not find cuda drivers.\n"
        "W0000 00:00:1795395469.2     408 cpu_allocator_impl.cc:84] exceeds 10% of memory.\n"
    )
    assert trial._last_line(remarks) == ""
    assert trial._last_line(f"MemoryError: 3 GB \n{remarks}\n") == "MemoryError: 3 GB"


def test_a_trial_takes_the_fullest_pictures_and_tells_when_memory_runs_out(shapes, monkeypatch):
    config = TrainConfig(data=str(shapes), batch_size=1, freeze_epochs=9, freeze_batch_size=2,
                         epochs=50, epochs_between_evaluations=5)  # fmt: skip
    data = dataset.open_data(config)
    seen = []
    errors = [
        OutOfMemory("no room for 3 pictures", "try --batch-size 1"),
        MemoryError(),
        DatasetError("a.jpg: cut short"),
        KeyError("a"),
    ]

    def train(config, data, folder):
        seen.append((config, data))
        raise errors[len(seen) - 1]

    class Child:
        """Does in this process what the child would do."""

        def __init__(self, words, **streams):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def communicate(self, work):
            monkeypatch.setattr(trial.sys, "stdin", io.TextIOWrapper(io.BytesIO(work)))
            words = io.StringIO()
            try:
                with contextlib.redirect_stderr(words):
                    trial.serve()
                self.returncode = 0
            except SystemExit as ended:
                self.returncode = ended.code
            except (MemoryError, KeyError):
                self.returncode = 1
                words.write(traceback.format_exc())  # as Python does
            return None, f"{words.getvalue()}\n".encode()

        def kill(self):
            pass

    monkeypatch.setattr(trainer, "train", train)
    monkeypatch.setattr(trial.subprocess, "Popen", Child)
    ends = [trial.want_of_memory(config, data) for _ in errors]
    assert ends == ["no room for 3 pictures", "MemoryError", None, None]
    tried, few = seen[0]
    assert (tried.epochs, tried.freeze_epochs) == (2, 1)
    assert (tried.batch_size, tried.freeze_batch_size) == (2, 3), "a quarter more, rounded up"
    assert tried.epochs_between_evaluations == 1 and few.val == few.train
    counts = [len(sample.class_ids) for sample in data.train]
    assert [len(s.class_ids) for s in few.train] == sorted(counts, reverse=True)[:6]


@pytest.mark.parametrize(
    "ending, expected",
    [((-9, ""), "ended by SIGKILL"), ((-6, "std::bad_alloc"), "ended by SIGABRT std::bad_alloc"),
     ((1, "ImportError: x.so: cannot allocate memory in static TLS block"), "ImportError: x.so"),
     ((1, "ModuleNotFoundError: No module named 'a'"), None), ((0, "MemoryError"), None)],
)  # fmt: skip
def test_how_a_child_ends_for_want_of_memory(monkeypatch, ending, expected):
    monkeypatch.setattr(trial, "take_steps", lambda *_: ending)
    found = trial.want_of_memory(None, None)
    assert found is None if expected is None else found.startswith(expected)
