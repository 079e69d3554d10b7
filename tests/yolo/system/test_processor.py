"""Which of TensorFlow's ways to compute a processor gets."""

import subprocess
import sys

import pytest

from yolo.system import processor

ZEN3 = "fpu sse4_2 avx fma avx2 bmi2 vaes".split()
ZEN4 = [*ZEN3, "avx512f", "avx512_vnni", "avx512_bf16"]
SKYLAKE_X = [*ZEN3, "avx512f", "avx512bw"]
ALDER_LAKE = [*ZEN3, "avx_vnni"]


@pytest.mark.parametrize(
    "flags, onednn, exponential",
    [
        (ZEN3, True, True),
        (SKYLAKE_X, True, False),
        (ALDER_LAKE, False, True),  # TensorFlow switches it on itself
        (ZEN4, False, False),
        (["sse4_2", "avx"], False, False),
        (["avx2"], False, True),
        (["asimd", "bf16"], False, False),
        ([], False, False),  # macOS, Windows: not known
    ],
)
def test_choice_by_flags(monkeypatch, flags, onednn, exponential):
    assert processor.wants_onednn(flags) is onednn
    assert processor.wants_exponential_mish(flags) is exponential


@pytest.mark.parametrize("own, expected", [(None, "1"), ("0", "0"), ("1", "1"), ("", "")])
def test_what_the_user_sets_stays(monkeypatch, own, expected):
    monkeypatch.setattr(processor, "flags", lambda: frozenset(ZEN3))
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    environ = {} if own is None else {processor.SWITCH: own}
    processor.choose_onednn(environ)
    assert environ == {processor.SWITCH: expected}


def test_a_loaded_tensorflow_is_left_alone(monkeypatch):
    monkeypatch.setattr(processor, "flags", lambda: frozenset(ZEN3))
    monkeypatch.setitem(sys.modules, "tensorflow", sys)
    environ = {}
    processor.choose_onednn(environ)
    assert environ == {}


@pytest.mark.parametrize(
    "flags, told, expected",
    [
        (ZEN3, "1", "avx2, oneDNN on (TF_ENABLE_ONEDNN_OPTS=1)"),
        (ZEN3, "0", "avx2, oneDNN off (TF_ENABLE_ONEDNN_OPTS=0)"),
        (ZEN4, None, "avx512_bf16, oneDNN"),
        ([], None, "oneDNN as TensorFlow chooses"),
    ],
)
def test_the_log_says_which_path(monkeypatch, flags, told, expected):
    monkeypatch.setattr(processor, "flags", lambda: frozenset(flags))
    monkeypatch.delenv(processor.SWITCH, raising=False)
    if told is not None:
        monkeypatch.setenv(processor.SWITCH, told)
    assert processor.path_of_computation() == expected


def test_import_yolo_chooses_before_tensorflow_is_there():
    program = (
        "import os, sys\n"
        "from yolo.system import processor\n"
        "os.environ.pop(processor.SWITCH, None)\n"
        "processor.flags = lambda: frozenset({'avx2', 'fma'})\n"
        "del sys.modules['yolo']\n"
        "import yolo\n"
        "print(os.environ[processor.SWITCH], 'tensorflow' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "1 False\n", done.stderr
