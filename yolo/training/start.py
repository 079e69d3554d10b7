"""How a run starts: with settings given, those of the run that it goes on with, or data at hand.

Nothing here needs TensorFlow: what is wrong with settings is said at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from yolo.errors import ConfigError, WeightsError
from yolo.models.darknet_cfg import cfg as darknet_cfg
from yolo.settings import toml
from yolo.settings.model import AUTO
from yolo.settings.of_cfg import of_cfg
from yolo.settings.train import TrainConfig, resolved
from yolo.system.lock import lock
from yolo.system.terminal import quoted
from yolo.training import run_folder
from yolo.training.origin import FREE, refuse_differences, settings_of
from yolo.weights import beside, darknet

# What a run without any data of its own changes: a picture and a schedule small enough for minutes
# on a processor, where Adam learns from fresh weights in half of the epochs that SGD takes.
DEMO_SETTINGS = {
    "image_size": (128, 160),
    "weights": "none",  # nothing is fetched that was not asked for
    "mosaic": 0.0,
    "scale": (0.9, 1.1),
    "loss": "focal",
    "location_weight": 2.0,
    "class_weight": 2.0,
    "optimizer": "adam",
    "momentum": 0.9,
    "learning_rate": 0.003,
    "epochs": 16,
}


@dataclasses.dataclass(frozen=True)
class Start:
    """What a run starts with.

    Args:
        given: the settings that were given, as fields of `TrainConfig`.
        config: all of them; those of the run itself where one goes on.
        resumed: the folder of the run that goes on, None for a new one.
        own: those of them that the model's cfg says.
        lines: to show, what the cfg says and what of it is left out.
    """

    given: dict
    config: TrainConfig
    resumed: Path | None = None
    own: dict = dataclasses.field(default_factory=dict)
    lines: tuple[str, ...] = ()

    def finished(self) -> Path | None:
        """Return the folder if this run and the display of its results, its page, are finished."""
        folder = self.resumed or self._finished_before()
        if folder is None or run_folder.epochs_if_complete(folder) is None:
            return None
        return folder if (folder / "report.html").exists() else None

    def _finished_before(self) -> Path | None:
        """Return the folder of a finished run of this name and these settings, if there is one."""
        if self.config.name is None:
            return None
        folder = run_folder.place(self.config.save_dir, self.config.name)
        if run_folder.epochs_if_complete(folder) is None:
            return None
        then = resolved(TrainConfig(**toml.read_toml(folder / "config.toml")))
        now = resolved(self.config)
        same = all(getattr(then, key) == getattr(now, key) for key in _settled(self.given))
        return folder if same else None

    def with_data(self, write: Callable, doing: str = "training on") -> TrainConfig:
        """Return the settings, with a data set at hand where none is named.

        The lines written say which it is and what is `doing` with it, and what a cfg says.
        """
        for line in self.lines:
            write(line)
        if self.config.data or self.config.train_list or self.config.val_list:
            return self.config
        from yolo.data import folder

        root, embedded = folder.default_data()
        if not embedded:
            write(f"no --data given: {doing} {root}")
            return dataclasses.replace(self.config, data=root)
        write(
            f"no --data given and no VOCdevkit/ here: {doing} the embedded data set of drawn "
            f"shapes, {root}"
        )
        return TrainConfig(**{**self.own, **DEMO_SETTINGS, **self.given, "data": root})

    def refuse_for_several(self) -> None:
        """Refuse what several processes of one training cannot have.

        Raises:
            ConfigError: they lack something that all of them need.
        """
        config = self.config
        lacking = [
            words
            for words, wrong in (
                ("--data or --train-list, a place that all of them see",
                 not (config.data or config.train_list)),
                ("--name or --resume, so that they find the same run folder",
                 not (config.name or self.resumed)),
                ("--batch-size with a number, since auto tries several", not config.batch_size),
            )
            if wrong
        ]  # fmt: skip
        if lacking:
            raise ConfigError(f"several processes need {lacking[0]}")

    def several(self, config: TrainConfig, *, go_on: bool) -> tuple[Path, TrainConfig]:
        """Return the folder that several processes will find, and the settings with its name.

        `go_on`: a run of this name goes on, and is not started anew.

        Raises:
            ConfigError: there is a folder of this name, or the processes lack something.
        """
        if self.resumed:
            folder = self.resumed
        elif go_on:
            folder = run_folder.place(config.save_dir, config.name or "")
        else:
            folder = run_folder.free_place(config)
        config = dataclasses.replace(config, name=config.name or folder.name)
        dataclasses.replace(self, config=config).refuse_for_several()
        return folder, config

    def folder(self, *, clear: bool = False) -> Path:
        """Return the run's folder, a new one unless the run goes on.

        With `clear`, what is left of a run of this name that was killed before anything of it was
        saved is removed first.

        Raises:
            ConfigError: there is a folder of this name, or it cannot be made.
        """
        if self.resumed:
            return self.resumed
        if clear:
            left = run_folder.place(self.config.save_dir, self.config.name or "")
            if run_folder.is_unsaved(left):
                with lock(left):
                    pass  # no run is at work in it
                run_folder.discard(left)
        return run_folder.create(self.config)


def settle(given: dict, *, resume: str | Path | bool | None = None, program: str = "") -> Start:
    """Settle what a run starts with, from settings given as fields of `TrainConfig`.

    Args:
        given: these settings.
        resume: the folder of the run to go on with; True: the run of this name, or a new one.
        program: how training is typed, for messages.

    Raises:
        ConfigError: settings are out of range, contradict each other or would be read by nobody,
            or the run to go on with was started with others or is none.
        WeightsError: nothing of that run was saved.
    """
    if resume is True:
        resume = _run_to_go_on(given)
    if resume:
        folder = Path(resume)
        return Start(given, _config_of_run(folder, _settled(given), program), folder)
    begun = begin(given)
    _refuse_idle(given, begun.config)
    return begun


def begin(given: dict) -> Start:
    """Return the start of a new run; its model's cfg speaks where the user does not.

    Raises:
        ConfigError: settings are out of range, or the cfg cannot be read.
    """
    model, said = _model_beside(given)
    own, lines = of_cfg({**model, **given}, named=not model)
    own = {**model, **own}
    return Start(given, TrainConfig(**{**own, **given}), own=own, lines=(*said, *lines))


def _model_beside(given: dict) -> tuple[dict, list[str]]:
    """Return the cfg beside whole Darknet weights as the model, where none was given."""
    weights = Path(given.get("weights") or "")
    if "model" in given or weights.suffix != ".weights" or not weights.is_file():
        return {}, []
    cfg = beside.cfg_of(weights)
    if cfg is None or not darknet.read(weights).is_of(darknet_cfg.read(cfg)):
        return {}, []
    said = f"the model is that of {cfg}, beside {weights}; --model overrides, --cfg heeds all of it"
    return {"model": str(cfg)}, [said]


def _refuse_idle(given: dict, config: TrainConfig) -> None:
    """Refuse options that would be read by nobody, unless they say what holds anyway."""
    for field in dataclasses.fields(TrainConfig):
        only, name = field.metadata.get("only", config.family), field.name
        if given.get(name, field.default) == field.default:
            continue
        if only != config.family:
            owner = {"yolov4": "YOLOv4", "retinanet": "RetinaNet"}[only]
            raise ConfigError(f"--{name.replace('_', '-')} belongs to {owner}, not {config.model}")
    if not config.freeze_epochs and config.freeze_batch_size not in (None, config.batch_size):
        raise ConfigError("--freeze-batch-size needs --freeze-epochs")


def _run_to_go_on(given: dict) -> Path | None:
    """Return the folder of the run of a name, if anything was saved in it."""
    if not given.get("name"):
        raise ConfigError("--continue needs --name, the name of the run")
    folder = run_folder.place(given.get("save_dir", TrainConfig.save_dir), given["name"])
    if run_folder.checkpoint_steps(folder) or run_folder.epochs_if_complete(folder) is not None:
        return folder
    return None


def _config_of_run(folder: Path, given: dict, program: str) -> TrainConfig:
    """Return the settings of a run to go on with, and those given that it may change."""
    path = folder / "config.toml"
    if not path.is_file():
        raise ConfigError(f"--resume names the folder of a run; {folder} holds no config.toml")
    values = toml.read_toml(path)
    config = TrainConfig(**values)
    now = settings_of(dataclasses.replace(config, **given))
    refuse_differences({key: now[key] for key in now if key in given}, settings_of(config), path)
    if run_folder.epochs_if_complete(folder) is None and not run_folder.checkpoint_steps(folder):
        with lock(folder):
            pass  # else its first epoch is under way
        raise WeightsError(
            f"{folder / run_folder.CHECKPOINTS}: no checkpoint of this run was saved; start anew "
            f"with the same settings: {program} --config {quoted(path)}"
        )
    return TrainConfig(**{**values, **{key: given[key] for key in given if key in FREE}})


def _settled(given: dict) -> dict:
    """Leave out settings that ask a run to find out something: its config.toml says what it found.

    Without them the command that started a run is the one that goes on with it.
    """
    asked = {"batch_size": 0, "anchors": AUTO, "weights": AUTO, "precision": "auto"}
    kept = {key: value for key, value in given.items() if key not in asked or value != asked[key]}
    if given.get("batch_size") == 0:
        kept.pop("freeze_batch_size", None)  # it was halved with the other
    return kept
