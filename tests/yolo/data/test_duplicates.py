"""Pictures of the same bytes: found within and between splits, and nothing else is."""

import numpy as np

from yolo.data import duplicates
from yolo.data.sample import Sample


def sample(path, content=None):
    if content is not None:
        path.write_bytes(content)
    none = np.zeros(0, bool)
    return Sample(path, np.zeros((0, 4)), np.zeros(0, int), none, none, (1, 1), path.stem)


def names(groups):
    return [[(split, path.name) for split, path in group] for group in groups]


def test_same_bytes_are_found_whatever_the_name(tmp_path):
    long = b"x" * (duplicates.HEAD_BYTES + 5)
    contents = {
        "a": b"one", "b": b"two", "c": b"one", "d": b"long" + long + b"1",
        "e": b"long" + long + b"2", "f": b"long" + long + b"1", "g": b"",
    }  # fmt: skip
    samples = [sample(tmp_path / name, content) for name, content in contents.items()]
    found = names(duplicates.same_pictures({"train": samples[:3], "val": samples[3:]}))
    assert found == [[("train", "a"), ("train", "c")], [("val", "d"), ("val", "f")]]


def test_a_picture_in_two_splits_is_shared_even_as_one_file(tmp_path):
    one = sample(tmp_path / "a", b"1")
    copy = sample(tmp_path / "b", b"1")
    found = duplicates.same_pictures({"train": [one], "val": [one], "test": [copy]})
    assert names(found) == [[("train", "a"), ("val", "a"), ("test", "b")]]
    text = duplicates.describe(found[0])
    assert text == f"{tmp_path / 'a'} (train) = {tmp_path / 'a'} (val) = {tmp_path / 'b'} (test)"
    assert duplicates.describe(found[0] * 2).endswith(f" = {tmp_path / 'a'} (train) and 2 more")


def test_missing_files_and_empty_splits_are_no_duplicates(tmp_path):
    gone = [sample(tmp_path / name) for name in ("a", "b")]
    assert duplicates.same_pictures({"train": gone, "val": []}) == []
    assert duplicates.same_pictures({}) == []
