"""A training on shards is the training on the files that they were made of."""

import numpy as np
import pytest

from yolo import cli
from yolo.data import folder as dataset
from yolo.errors import DatasetError
from yolo.settings.train import TrainConfig
from yolo.training import checkpoint


def test_a_run_on_shards_is_the_run_on_the_files(shapes, small_run, tmp_path, capsys):
    """`python -m yolo shards`, then the same training: equal weights, figures and pictures."""
    out = tmp_path / "shards"
    assert cli.main(["shards", "--data", str(shapes), "--out", str(out), "--num-shards", "2"]) == 0
    said = capsys.readouterr().out
    assert "train: 8 pictures in 2 shards" in said and f"train with --data {out}" in said
    folders = [
        small_run(tmp_path / name, data=str(root), epochs=2, mosaic=1.0)[0]
        for name, root in (("files", shapes), ("shards", out))
    ]
    (one, expected), (two, found) = (checkpoint.newest(folder) for folder in folders)
    assert one.step == two.step == 4 and one.best_map50 == two.best_map50
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    files, packed = (dataset.open_data(TrainConfig(data=str(root))) for root in (shapes, out))
    assert files.classes == packed.classes and packed.test_name == "test" and packed.divided == {}
    with pytest.raises(DatasetError, match="no split 'x'; expected one of train, val, test"):
        dataset.open_folder(out).read("x", classes=files.classes)
    assert cli.main(["shards", "--data", str(shapes), "--out", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err
