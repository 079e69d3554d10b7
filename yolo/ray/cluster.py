"""A Ray cluster: joined or started, and looked over before anything is begun on it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from yolo import errors
from yolo.errors import ConfigError, YoloError
from yolo.system.optional import import_optional
from yolo.system.process import ending_signals
from yolo.system.terminal import counted

_PATIENCE = 10  # seconds for an address to answer
_CODE = Path(__file__).resolve().parents[2]  # of both packages


@dataclass(frozen=True)
class Cluster:
    """Where Ray shall work, in Ray's words.

    Args:
        workers: processes that train or detect; for detecting also (least, most), between which
            Ray chooses.
        address: "auto", "host:port" or "ray://host:port"; None for the one that RAY_ADDRESS
            names, else one that is started on this machine and ends with the command.
        storage: a folder that all nodes see, or an address such as s3://bucket/runs, where Ray
            keeps a copy of a run; None where all see the run's own folder.
        wait: wait for room for all workers, as a cluster that grows needs.

    Raises:
        ConfigError: a number of workers below 1, or the greater one first.
    """

    workers: int | tuple[int, int]
    address: str | None = None
    storage: str | None = None
    wait: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise ConfigError(f"workers is a number from 1 on, or LEAST,MOST, not {self.workers!r}")

    @property
    def least(self) -> int:
        """The workers without which nothing begins."""
        return self.workers if isinstance(self.workers, int) else self.workers[0]

    @property
    def most(self) -> int:
        """The workers that there may be."""
        return self.workers if isinstance(self.workers, int) else self.workers[1]

    @contextlib.contextmanager
    def connected(self) -> Iterator[ModuleType]:
        """Connect with the cluster and give Ray's module; leave it at the end.

        Raises:
            YoloError: Ray is not installed, nobody answers, or a node has not this very package.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told of a run
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        ray = import_optional("ray", '"ray[default,train,data]"', "--engine ray")
        if ray.is_initialized() and not self.address:  # by a notebook, whose connection it stays
            yield ray
            return
        address = self.address or os.environ.get("RAY_ADDRESS")
        if address and "//" not in (host := address.removeprefix("ray://")) and ":" in host:
            _refuse_silence(host)
        local = {} if address else {"include_dashboard": False}
        handlers = {number: signal.getsignal(number) for number in ending_signals()}
        try:
            ray.init(
                address=address or "local", log_to_driver=False, logging_level="ERROR", **local
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise ConfigError(
                f"--ray-address {address}: no Ray cluster answers there ({reason}); start one "
                "with: ray start --head"
            ) from error
        finally:
            if threading.current_thread() is threading.main_thread():
                for number, handler in handlers.items():  # which Ray has taken for itself
                    signal.signal(number, handler)
        try:
            _look_over(ray)
            yield ray
        finally:
            ray.shutdown()

    def resources(self, ray: ModuleType, devices: str | None = None) -> dict[str, float]:
        """Return what each worker is to get, once the cluster is known to have it.

        Args:
            ray: connected.
            devices: GPUs of a worker, "all" for those of a node; None for one if there is any.

        Raises:
            ConfigError: there is no room for so many workers, and they are not to be waited for.
        """
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        gpus = max((node.get("GPU", 0) for node in nodes), default=0)
        each = {"CPU": 1.0}
        if gpus and devices != "0":
            each["GPU"] = gpus if devices == "all" else float(devices or 1)
        room = sum(
            int(min(node.get(name, 0) // amount for name, amount in each.items())) for node in nodes
        )
        if room < self.least and not self.wait:
            found = ray.cluster_resources()
            has = ", ".join(f"{found.get(name, 0):g} {name}" for name in each)
            raise ConfigError(
                f"--workers {self.least}: the cluster has room for {room} ({has} on "
                f"{counted(len(nodes), 'node')}); take fewer, or --wait for it to grow"
            )
        return each


def packed(error: Exception) -> dict:
    """Return an error as plain values, which every process can read."""
    return {"error": str(error), "exit_code": getattr(error, "exit_code", 1)}


def unpacked(values: dict) -> YoloError:
    """Return the error of which these are the values."""
    kinds = (YoloError, ConfigError, errors.DatasetError, errors.WeightsError)
    return {kind.exit_code: kind for kind in kinds}[values["exit_code"]](values["error"])


def go_to(folder: str) -> None:
    """Work in the folder of the command, so that relative names mean the same on all nodes."""
    if Path(folder).is_dir():
        os.chdir(folder)


def code_digest() -> str:
    """Return what tells two states of this package apart."""
    found = hashlib.sha256()
    for package in ("keras_focal", "yolo"):
        for path in sorted((_CODE / package).rglob("*.py")):
            found.update(path.read_bytes())
    return found.hexdigest()


def _refuse_silence(host: str) -> None:
    """Refuse an address at which nobody listens; Ray itself asks for minutes."""
    name, _, port = host.rpartition(":")
    try:
        socket.create_connection((name.strip("[]"), int(port)), timeout=_PATIENCE).close()
    except (OSError, ValueError, OverflowError) as error:
        raise ConfigError(
            f"--ray-address {host}: nobody answers there ({error}); a cluster's head prints its "
            "address when it starts: ray start --head"
        ) from error


def _look_over(ray: ModuleType) -> None:
    """Refuse a cluster whose nodes cannot do the work.

    Raises:
        ConfigError: a node lacks the package, or has another state of it.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    mine, asked = code_digest(), {}
    for node in ray.nodes():
        if node["Alive"]:
            here = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            task = ray.remote(num_cpus=0, max_retries=0)(code_digest)
            asked[node["NodeManagerAddress"]] = task.options(scheduling_strategy=here).remote()
    for address, answer in asked.items():
        try:
            theirs = ray.get(answer, timeout=60)
        except (ray.exceptions.RayError, ImportError) as error:
            raise ConfigError(
                f"node {address} cannot run this package ({str(error).strip().splitlines()[-1]}); "
                "install it on every node, in the same environment"
            ) from error
        if theirs != mine:
            raise ConfigError(
                f"node {address} has another version of this package; install the same on all"
            )
