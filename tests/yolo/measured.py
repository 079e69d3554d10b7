"""What is measured is what is used: a prediction that is scored later scores as the model does."""

import json

import numpy as np

from yolo import cli
from yolo.cli import common
from yolo.data.formats.voc import LabelledObject, annotation_xml
from yolo.pictures.files import write_image

OBJECTS = 6  # marked in each picture, of what the model finds


def write_what_is_found(root, model, pictures):
    """Write a VOC set whose objects are some of what a model finds, moved by up to a quarter.

    Returns the paths of the pictures; the truth of a network with random weights is its own.
    """
    rng, paths = np.random.default_rng(0), []
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / name).mkdir(parents=True)
    for number, picture in enumerate(pictures):
        height, width = picture.shape[:2]
        (found,) = model.detect(picture, score_threshold=0.01)
        marked = []
        for label, box in list(zip(found.labels, found.boxes_xyxy, strict=True))[:OBJECTS]:
            moved = box + rng.uniform(-0.25, 0.25, 4) * np.tile(box[2:] - box[:2], 2)
            x1, y1, x2, y2 = np.round(moved).astype(int).tolist()
            x1, y1 = max(x1, 0), max(y1, 0)
            box = (x1, y1, min(max(x2, x1 + 2), width), min(max(y2, y1 + 2), height))
            if box[0] < box[2] and box[1] < box[3]:
                marked.append(LabelledObject(label, box))
        assert marked, "nothing to measure on"
        paths.append(root / "JPEGImages" / f"{number}.png")
        write_image(paths[-1], picture)
        text = annotation_xml(paths[-1].name, (height, width), marked)
        (root / "Annotations" / f"{number}.xml").write_text(text, encoding="utf-8")
    stems = "".join(f"{path.stem}\n" for path in paths)
    (root / "ImageSets/Main/test.txt").write_text(stems, encoding="utf-8")
    return paths


def check_scores_agree(model, pictures, folder, monkeypatch, *arguments):
    """Compare `evaluate.py` with `predict.py --save coco` and `evaluate.py --results`.

    Args:
        model: what both commands open.
        pictures: (H, W, 3) uint8 RGB each.
        folder: an empty one to write into.
        monkeypatch: pytest's.
        *arguments: of both commands that run the model.
    """
    monkeypatch.setattr(common, "open_model", lambda args, weights: model)
    monkeypatch.setattr("yolo.system.terminal.import_tensorflow_quietly", lambda **_: None)
    paths = write_what_is_found(folder / "VOC", model, pictures)
    weights = ("--weights", "w.keras", *arguments)
    commands = [
        (cli.evaluate_main, "--data", folder / "VOC", "--json", folder / "model.json", *weights),
        (cli.predict_main, *paths, "--save", "coco", "--no-draw", "--out", folder / "out",
         *weights),
        (cli.evaluate_main, "--results", folder / "out" / "coco_results.json", "--data",
         folder / "VOC", "--json", folder / "file.json"),
    ]  # fmt: skip
    for command, *words in commands:
        assert command([str(word) for word in words]) == 0
    model_scores, file_scores = (
        json.loads((folder / name).read_text(encoding="utf-8"))
        for name in ("model.json", "file.json")
    )
    of_coco = [{k: v for k, v in one["coco"].items() if k != "per_class"}
               for one in (model_scores, file_scores)]  # fmt: skip
    assert of_coco[0] == of_coco[1]
    of_voc = [{one["class"]: one for one in scores["voc"]["classes"] if one["objects"]}
              for scores in (model_scores, file_scores)]  # fmt: skip
    assert of_voc[0] == of_voc[1] and of_voc[0]
    assert 0 < model_scores["coco"]["AP"] < 1, "else this shows nothing"
