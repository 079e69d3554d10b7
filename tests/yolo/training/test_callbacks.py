"""Progress, checkpoints by the clock and on a signal, and a loss that is none; no training."""

import signal
from pathlib import Path

import keras
import pytest
import tensorflow as tf

from yolo.errors import YoloError
from yolo.settings.train import TrainConfig
from yolo.system.signals import Stop, Stopped
from yolo.training import callbacks
from yolo.training.callbacks import Checkpoints, Progress, StopOnNonFinite
from yolo.training.checkpoint import State
from yolo.training.optimizer import make_optimizer


class StandIn:
    """What the callbacks use of a detector."""

    def __init__(self):
        self.optimizer = make_optimizer(TrainConfig(ema=0), 0.1, steps=100, variables=[])
        self.optimizer.build([keras.Variable([1.0])])
        self.figures = {}
        self.distribute_strategy = tf.distribute.get_strategy()

    def get_metrics_result(self):
        return self.figures


@pytest.fixture
def saves(monkeypatch):
    """Record the batches at which a checkpoint would be saved."""
    found = []
    monkeypatch.setattr(
        callbacks.checkpoint,
        "save",
        lambda folder, state, model: found.append(state.batch),
    )
    return found


def batches(stop, count, *, steps=4):
    """Run the batches of an epoch; return the state."""
    state = State()
    callback = Checkpoints(
        Path(), state, steps=steps, stop=stop,
        finish_epoch=lambda model, logs: setattr(state, "epoch", state.epoch + 1),
    )  # fmt: skip
    callback.set_model(StandIn())
    callback.on_epoch_begin(0)
    for batch in range(count):
        callback.on_train_batch_end(batch)
    if count == steps:
        callback.on_epoch_end(0, {"loss": 1.0})
    return state


def test_the_end_of_an_epoch_is_saved_before_it_is_measured(saves):
    state = batches(Stop(), 4)
    assert saves == [4] and (state.step, state.epoch) == (4, 1)


def test_long_epochs_are_saved_by_the_clock(saves, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: now[0])
    stop = Stop()
    honest = stop.defer
    monkeypatch.setattr(
        stop, "defer", lambda: (honest(), now.__setitem__(0, now[0] + 250))
    )  # each batch takes 250 seconds
    batches(stop, 7, steps=8)
    assert saves == [3, 6]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_at_the_end_of_the_batch(saves, number):
    stop = Stop()
    stop.number = number
    with pytest.raises(Stopped) as caught:
        batches(stop, 4)
    assert saves == [1] and caught.value.exit_code == 128 + number


def test_a_signal_in_the_last_batch_leaves_the_measuring_to_the_resumed_run(saves):
    class InTheLast(Stop):
        count = 0

        def defer(self):
            super().defer()
            self.count += 1
            self.number = signal.SIGINT if self.count == 4 else 0

    with pytest.raises(Stopped):
        batches(InTheLast(), 4)
    assert saves == [4]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_names_its_part_and_its_pictures(bad):
    pictures = [Path(f"{n}.jpg") for n in range(11)]
    callback = StopOnNonFinite(State(epoch=1, batch=2, step=6), lambda epoch, batch: pictures)
    callback.set_model(StandIn())

    def end_batch(batch, logs):
        callback.model.figures = logs  # of all devices; given are those of the first
        callback.on_train_batch_end(batch, {"loss": 1.0} if first_is_fine else logs)

    first_is_fine = False
    end_batch(0, {"loss": 1.0, "class_loss": 1.0})
    with pytest.raises(YoloError) as caught:
        end_batch(2, {"loss": bad, "class_loss": bad, "location_loss": 1.0})
    assert str(caught.value).startswith(
        "class_loss is not a finite number in step 7 (epoch 2, batch 3), with the pictures "
        "0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg, 5.jpg, 6.jpg, 7.jpg and 3 more; the step was not taken"
    )
    with pytest.raises(YoloError, match="^loss is not"):
        end_batch(2, {"loss": bad, "class_loss": 1.0})
    callback.model.optimizer.refused.assign(1)
    with pytest.raises(YoloError, match="^the gradient is not"):
        end_batch(2, {"loss": 1.0, "class_loss": 1.0})
    first_is_fine = True
    with pytest.raises(YoloError, match="^class_loss is not"):
        end_batch(2, {"loss": bad, "class_loss": bad})


# ------------------------------------------------------------------------------ progress


def test_progress_lines(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: now[0])
    shown = []
    progress = Progress(
        lambda text, end="\n": shown.append((text, end)), live=True, steps=4, batch_size=8,
        last_epoch=3,
    )  # fmt: skip
    progress.set_model(StandIn())
    logs = {"loss": 2.0, "location_loss": 0.5}
    progress.on_epoch_begin(0)
    now[0] = 1.0
    progress.on_train_batch_end(1, logs)
    now[0] = 1.2
    progress.on_train_batch_end(2, logs)  # too soon to show
    now[0] = 2.0
    progress.on_epoch_end(0, logs)
    assert shown == [
        ("epoch 1/3  step 2/4, 0:05 left  16 pictures/s  loss 2.0000  (location 0.5000)  "
         "learning rate 0.1", "\r"),
        ("epoch 1/3  0:02, 0:04 left  16 pictures/s  loss 2.0000  (location 0.5000)  "
         "learning rate 0.1", "\n"),
    ]  # fmt: skip


def test_what_matters_of_a_long_run_fits_a_terminal_of_80_columns(monkeypatch):
    shown = []
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: 0.0)
    progress = Progress(
        lambda text, end="\n": shown.append(text), live=True, steps=9000, batch_size=8,
        last_epoch=300,
    )  # fmt: skip
    progress.set_model(StandIn())
    progress.on_epoch_begin(122)
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: 3000.0)
    progress.on_train_batch_end(4000, {"loss": 12.5, "location_loss": 0.5})
    assert " left  11 pictures/s  loss 12.5000" in shown[0][:79]


def test_where_lines_stay_progress_speaks_at_once_and_then_seldom(monkeypatch):
    now, shown = [0.0], []
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: now[0])
    progress = Progress(lambda text, end="\n": shown.append((now[0], text.split("  ")[0], end)),
                        live=False, steps=100, batch_size=1, last_epoch=2)  # fmt: skip
    progress.set_model(StandIn())
    progress.on_train_begin()
    assert shown == [(0.0, "preparing the first step, which takes a while", "\n")]
    progress.on_epoch_begin(0)
    for batch in range(100):
        now[0] = 45.0 + batch  # it compiles before the first step
        progress.on_train_batch_end(batch, {"loss": 1.0})
    progress.on_epoch_end(0, {"loss": 1.0})
    assert shown[1:] == [(at, "epoch 1/2", "\n") for at in (45.0, 76.0, 107.0, 138.0, 144.0)]
    shown.clear()
    progress.on_epoch_begin(1)
    for batch in range(29):
        now[0] += 1
        progress.on_train_batch_end(batch, {"loss": 1.0})
    assert not shown


def test_progress_of_the_rest_of_an_epoch_counts_what_was_done_before(monkeypatch):
    now, shown = [0.0], []
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: now[0])
    progress = Progress(
        lambda text, end="\n": shown.append(text), live=True, steps=4, batch_size=8, last_epoch=1,
        skipped=2,
    )  # fmt: skip
    progress.set_model(StandIn())
    progress.on_epoch_begin(0)
    now[0] = 1.0
    progress.on_train_batch_end(0, {"loss": 2.0})
    assert shown[0].startswith("epoch 1/1  step 3/4, 0:01 left  8.0 pictures/s  loss 2.0000  ")
