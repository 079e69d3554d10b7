"""The benchmark's machinery: turns, ratios, peers, and its command line on a little work."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from benchmarks import peers, plan, report, runner, sections, training, worker, zoo
from benchmarks.plan import Group, Limit, Options
from tests.faults.full import small
from yolo.models.yolov4 import network

ROOT = Path(__file__).resolve().parents[2]
# A peer that says it took 2 seconds for 4 units, then 4 seconds and so on, and notes its turns.
PEER = """
import json, sys
name, log, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
print(json.dumps({"units": 4}), flush=True)
for line in sys.stdin:
    if line.strip() == "memory":
        print(json.dumps({"peak_mb": 100 * seconds}), flush=True)
        continue
    open(log, "a", encoding="utf-8").write(name)
    print(json.dumps({"seconds": seconds, "processor": 2 * seconds}), flush=True)
    seconds *= 2
"""
GROUP = Group("loss: x", "thing", ("a",), limits={"b": Limit("a", 0.4, memory=0.6)}, memory=True)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that measures stand-ins given as name to seconds."""
    script, log = tmp_path / "peer.py", tmp_path / "turns.txt"
    script.write_text(PEER, encoding="utf-8")

    def measure(seconds, rounds=3, extra=()):
        commands = [
            (name, [sys.executable, str(script), name, str(log), str(value)])
            for name, value in seconds.items()
        ]
        monkeypatch.setattr(runner, "commands", lambda *_: [*commands, *extra])
        said = []
        rows = runner.measure(
            GROUP, Options(""), {}, rounds=rounds, seconds=100.0, write=said.append
        )
        return rows, log.read_text(encoding="utf-8"), said

    return measure


def test_cases_take_turns_and_are_compared_round_by_round(run):
    rows, turns, _ = run({"a": 2.0, "b": 1.0})
    assert turns == "ababab"
    a, b = rows["a"], rows["b"]
    assert (a["seconds"], a["low"], a["high"], a["rounds"]) == (1.0, 0.5, 2.0, 3)
    assert a["processor"] == 2.0 and "of" not in a and a["peak_mb"] == 1600
    assert (b["of"], b["ratio"], b["ratio_low"], b["ratio_high"]) == ("a", 0.5, 0.5, 0.5)
    assert b["processor_ratio"] == b["memory_ratio"] == 0.5
    assert (b["limit"], b["memory_limit"]) == (0.4, 0.6)
    text = report.table(GROUP.name, rows)
    assert "0.50 (0.50 to 0.50) a | 0.40 MISSED" in text
    assert "800 MB, 0.50 (limit 0.60 kept)" in text


def test_who_cannot_run_is_left_out_with_a_reason(run):
    fails = [sys.executable, "-c", "raise SystemExit('no such model')"]
    idle = [sys.executable, "-c", """print('{"missing": "nothing for this group"}')"""]
    extra = [("a", fails), ("broken peer", fails), ("idle peer", idle)]
    rows, turns, said = run({"b": 1.0}, extra=extra)
    assert turns == "bbb" and list(rows) == ["b"]
    reason = "left out, ended with code 1: no such model"
    assert said == [f"a: {reason}", f"broken peer: {reason}"]
    assert "ratio" not in rows["b"] and "limit" not in rows["b"]


def test_a_peer_has_a_name_and_a_command():
    assert peers.parse(["t=python x.py --a=1"]) == {"t": "python x.py --a=1"}
    for wrong in ("python", "=x", "t="):
        with pytest.raises(ValueError, match="expected NAME=COMMAND"):
            peers.parse([wrong])


def test_groups_have_names_of_their_own_and_cases_that_their_limits_name():
    groups = sections.groups()
    assert len({group.name for group in groups}) == len(groups) > 15
    outside = {"tutorial", "keras-retinanet"}
    for group in groups:
        assert group.section in sections.SECTIONS
        for case, limit in group.limits.items():
            assert case in group.cases and limit.of in {*group.cases, *outside}


def test_the_rates_of_the_zoo(monkeypatch):
    monkeypatch.setattr(network, "build_network", small.build_network)
    group = next(group for group in zoo.GROUPS if "yolov4-tiny," in group.name)
    before = keras.config.dtype_policy()
    try:
        cases = [
            zoo.prepare(f"{group.what}; {case}", Options("", shrink=8)) for case in group.cases
        ]
    finally:
        keras.config.set_dtype_policy(before)
    assert [ready.units for ready in cases] == [2, 1]
    took = {case: {"seconds": plan.timed(ready.run)[0] / ready.units}
            for case, ready in zip(group.cases, cases, strict=True)}  # fmt: skip
    rows = zoo.table({"groups": {group.name: took}}).splitlines()
    (measured,) = [row for row in rows if "`yolov4-tiny`" in row]
    rates = [float(cell) for cell in measured.split("|")[2:4]]
    assert rates == pytest.approx([1 / row["seconds"] for row in took.values()], rel=0.01)
    assert sum(row.endswith("| - | - |") for row in rows) == len(zoo.GROUPS) - 1


def test_the_forward_pass_alone_is_timed(monkeypatch):
    monkeypatch.setattr(network, "build_network", small.build_network)
    (group,) = (g for g in training.GROUPS if g.what.startswith("parts of a step, yolov4-tiny"))
    assert "forward only" in group.cases
    before = keras.config.dtype_policy()
    try:
        ready = training.prepare(f"{group.what}; forward only", Options("", shrink=8))
    finally:
        keras.config.set_dtype_policy(before)
    assert all(worker.run_once(ready)[0] > 0 for _ in range(2)) and ready.units == 2


def command(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, capture_output=True,
        encoding="utf-8", timeout=300,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_the_command_measures_once_records_and_compares(tmp_path):
    out = tmp_path / "r.json"
    given = ("--only", "scaling: nms", "--rounds", "3", "--shrink", "100", "--out", str(out))
    code, shown, said = command(*given)
    assert code == 0, said
    found = json.loads(out.read_text(encoding="utf-8"))
    rows = found["groups"]["scaling: nms against candidates"]
    assert list(rows) == ["100", "1000", "10000", "30000"]
    assert rows["30000"]["ratio"] > 0 and rows["30000"]["of"] == "100"
    assert found["machine"]["cores"] and "numpy" in found["machine"]["packages"]
    assert "### scaling: nms against candidates" in shown
    before = out.stat().st_mtime_ns
    code, shown, said = command(*given, "--compare", str(out))
    assert code == 0 and out.stat().st_mtime_ns == before  # nothing was measured again
    assert "| scaling: nms against candidates: 100 | 1.00 |" in shown


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--only", "nonsense"], "no group begins with nonsense"),
        (["--peer", "tutorial"], "expected NAME=COMMAND"),
        (["--compare", "absent.json"], "absent.json: no such file"),
    ],
)
def test_bad_arguments(arguments, message):
    code, _, said = command(*arguments)
    assert code == 2 and message in said
