"""A Ray cluster: joined or started, and looked over before anything is begun on it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from yolo.errors import ConfigError, YoloError
from yolo.system.optional import import_optional
from yolo.system.process import ending_signals
from yolo.system.terminal import quiet_errors

OLDEST = (2, 58)  # of Ray
_PATIENCE = 10  # seconds for an address to answer, and for room
_CODE = Path(__file__).resolve().parents[2]  # of both packages


@dataclass(frozen=True)
class Cluster:
    """Where Ray shall work, in Ray's words.

    Args:
        workers: processes that train or detect; to detect also (least, most), Ray's to choose.
        address: "auto", "host:port" or "ray://host:port"; None for the one that RAY_ADDRESS
            names, else one that is started on this machine and ends with the command.
        storage: a folder that all nodes see, or an address such as s3://bucket/runs, where Ray
            keeps a copy of a run; None where all see the run's own folder.
        wait: wait for room for all workers, as a cluster that grows needs.
    """

    workers: int | tuple[int, int]
    address: str | None = None
    storage: str | None = None
    wait: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.span[0] <= self.span[1]:
            raise ConfigError(f"workers is a number from 1 on, or LEAST,MOST, not {self.workers!r}")

    @property
    def span(self) -> tuple[int, int]:
        """The workers without which nothing begins, and how many there may be."""
        return self.workers if isinstance(self.workers, tuple) else (self.workers, self.workers)

    @contextlib.contextmanager
    def connected(self) -> Iterator[ModuleType]:
        """Connect with the cluster and give Ray's module; leave it at the end.

        Raises:
            YoloError: Ray is missing or too old, nobody answers, or a node has another package.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told of a run
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        package = f'"ray[default,train,data]>={OLDEST[0]}.{OLDEST[1]}"'
        ray = import_optional("ray", package, "--engine ray")
        if tuple(map(int, ray.__version__.split(".")[:2])) < OLDEST:
            raise YoloError(f"Ray {ray.__version__} is too old; run: pip install -U {package}")
        if ray.is_initialized() and not self.address:  # by a notebook, whose connection it stays
            yield ray
            return
        _connect(ray, self.address or os.environ.get("RAY_ADDRESS"))
        try:
            _look_over(ray)
            yield ray
        finally:
            ray.shutdown()

    def resources(self, ray: ModuleType, devices: str | None = None) -> dict[str, float]:
        """Return what each worker gets, `devices` GPUs among it, once the least have room.

        Raises:
            ConfigError: there is no room, and it is not to be waited for.
        """
        gpus = max(node["Resources"].get("GPU", 0) for node in ray.nodes())
        each = {"CPU": 1.0}
        if gpus and devices != "0":
            each["GPU"] = gpus if devices == "all" else float(devices or 1)
        room = ray.util.placement_group([each] * self.span[0], strategy="SPREAD")
        found = self.wait or room.wait(_PATIENCE)
        ray.util.remove_placement_group(room)
        if not found:
            there, free = ray.cluster_resources(), ray.available_resources()
            raise ConfigError(
                f"--workers {self.span[0]}: the cluster has "
                + ", ".join(f"{there.get(n, 0):g} {n} ({free.get(n, 0):g} free)" for n in each)
                + f", and each worker takes {', '.join(f'{each[n]:g} {n}' for n in each)}; take "
                "fewer, or --wait for room"
            )
        return each


def code_digest() -> str:
    """Return what tells two states of this package apart."""
    files = [path for room in ("keras_focal", "yolo") for path in (_CODE / room).rglob("*.py")]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files))).hexdigest()


def _connect(ray: ModuleType, address: str | None) -> None:
    """Join the cluster of an address, or start one here."""
    import grpc

    host = (address or "").removeprefix("ray://")
    local = {} if address else {"include_dashboard": False}
    ours = {number: signal.getsignal(number) for number in ending_signals()}  # Ray takes them
    try:
        if ":" in host and "/" not in host and not os.environ.get("RAY_USE_TLS"):
            with grpc.insecure_channel(host) as channel:  # Ray itself asks for minutes
                grpc.channel_ready_future(channel).result(timeout=_PATIENCE)
        with quiet_errors(verbose=False):
            ray.init(
                address=address or "local", log_to_driver=False, logging_level="ERROR", **local
            )
    except Exception as error:  # as bare as Ray raises it
        reason = str(error).strip().partition("\n")[0] or f"waited {_PATIENCE} s"
        raise ConfigError(
            f"--ray-address {address}: no Ray cluster answers there ({reason}); a cluster's head "
            "prints its address when it starts: ray start --head"
            if address
            else f"--engine ray: Ray does not start here ({reason})"
        ) from error
    finally:
        with contextlib.suppress(ValueError):  # in another thread nobody took it
            for number, handler in ours.items():
                signal.signal(number, handler)


def _look_over(ray: ModuleType) -> None:
    """Refuse a cluster of which a node lacks the package, or has another state of it."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task, asked = ray.remote(num_cpus=0, max_retries=0)(code_digest), {}
    for node in ray.nodes():
        if node["Alive"]:
            here = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            asked[node["NodeManagerAddress"]] = task.options(scheduling_strategy=here).remote()
    for address, answer in asked.items():
        try:
            wrong = "" if ray.get(answer, timeout=60) == code_digest() else "another version"
        except (ray.exceptions.RayError, ImportError) as error:
            wrong = str(error).strip().splitlines()[-1]
        if wrong:
            raise ConfigError(
                f"node {address} has not this very package ({wrong}); install it on every node"
            )
