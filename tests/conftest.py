"""What all tests share: the folder of reference data, and a quiet TensorFlow."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder with pictures, weights and oracles, or skip where there is none.

    With REQUIRE_SHARED=1 in the environment, as in continuous integration, its absence is a
    failure instead.
    """
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("KERAS_FOCAL_SHARED", root.parent / "shared"))
    if not (folder / "oracles").is_dir():
        reason = "no reference data: set KERAS_FOCAL_SHARED to the folder that holds oracles/"
        if os.environ.get("REQUIRE_SHARED") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder
