"""Fine-tune a detector on blood cells, with cross-entropy and with the focal loss.

All runs start from Darknet's `yolov4-tiny.conv.29`, see the same pictures in the same order
under the same seed, take the same steps, and are scored on the test split by their best model on
the validation split.

    python -m benchmarks.bccd --data BCCD --weights yolov4-tiny.conv.29
    python -m benchmarks.bccd --data BCCD --weights yolov4-tiny.conv.29 \
        --model retinanet-csp-tiny --losses focal

BCCD is the VOC-format data set github.com/Shenggan/BCCD_Dataset (205 training, 87 validation, 72
test pictures).
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from pathlib import Path

from yolo.settings.train import TrainConfig
from yolo.system import terminal
from yolo.system.writing import write_text

LOSSES = ("cross-entropy", "focal")
# Cells mostly stay whole: zooming in cuts them at the edge, where the people who labelled these
# pictures mostly left them out. No mosaic, for the same reason.
COMMON = {
    "resize": "stretch",
    "batch_size": 8,
    "drop_remainder": True,
    "mosaic": 0.0,
    "scale": (0.7, 1.1),
    "min_box_visible": 0.5,
    "vertical_flip": 0.5,
}
# Blood cells come in three sizes: these anchors are the medians of the training boxes of platelets
# (the first), red cells (the next three) and white cells (the last two) and a step to each side.
ANCHORS = "26,34, 60,78, 70,90, 80,100, 115,140, 145,180\n"
# RetinaNet's fresh subnets learn within so few steps with group norm and Adam; torchvision's second
# profile has the norm, GIoU, and an anchor for every object.
RECIPES = {
    "yolov4-tiny": {
        "image_size": (416, 416), "epochs": 60, "positive_iou": 0.4, "multi_scale": True,
        "translate": 0.05,
    },
    "retinanet-csp-tiny": {
        "image_size": (384, 384), "epochs": 25, "profile": "torchvision-v2", "channels": 256,
        "optimizer": "adamw", "translate": 0.05,
    },
}  # fmt: skip


def run(loss: str, args, screen) -> dict:
    """Train with one confidence loss and return its scores on the test split."""
    from yolo.data import folder as dataset
    from yolo.evaluation.coco import evaluate_coco
    from yolo.evaluation.voc import evaluate_voc, table
    from yolo.inference.predictor import detect_samples
    from yolo.training import run_folder, trainer
    from yolo.weights import loading

    recipe = COMMON | RECIPES[args.model] | ({"epochs": args.epochs} if args.epochs else {})
    if args.model == "yolov4-tiny":
        recipe["anchors"] = str(args.out / "anchors.txt")
        write_text(args.out / "anchors.txt", ANCHORS)
    config = TrainConfig(
        **recipe, model=args.model, data=str(args.data), weights=str(args.weights),
        loss=loss, seed=args.seed, save_dir=str(args.out), precision=args.precision,
        name=f"{time.strftime('%Y-%m-%d_%H-%M-%S')}_{args.model}_{loss}_seed{args.seed}",
    )  # fmt: skip
    data = dataset.open_data(config)
    folder = run_folder.create(config)
    run_folder.describe(folder, config, data.classes, data.divided)
    started = time.monotonic()
    best = trainer.train(config, data, folder, write=screen.write, live=screen.live)
    minutes = (time.monotonic() - started) / 60
    found = detect_samples(loading.load(best), data.test)
    result = evaluate_voc(found, data.test, data.classes)
    screen.write(table(result))
    return {
        "model": args.model,
        "loss": loss,
        "seed": args.seed,
        "epochs": config.epochs,
        "minutes": round(minutes, 1),
        "mAP50": round(result.map_all_point, 4),
        "mAP50_11_point": round(result.map_11_point, 4),
        "COCO_AP": round(evaluate_coco(found, data.test, data.classes)["AP"], 4),
        "per_class": {one.name: round(one.ap_all_point, 4) for one in result.classes},
    }


def main() -> None:
    """Run one or both losses and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the BCCD folder")
    parser.add_argument("--weights", type=Path, required=True, help="yolov4-tiny.conv.29")
    parser.add_argument("--model", choices=RECIPES, default="yolov4-tiny")
    parser.add_argument("--losses", nargs="+", choices=LOSSES, default=LOSSES)
    parser.add_argument("--epochs", type=int, help="in place of the recipe's")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--out", type=Path, default=Path("logs/bccd"), help="folder for the runs")
    args = parser.parse_args()
    screen = terminal.Screen()
    logging.getLogger("yolo").addHandler(terminal.ScreenHandler(screen))
    terminal.import_tensorflow_quietly(verbose=False)
    path = args.out / "results.json"
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    for loss in args.losses:
        row = run(loss, args, screen)
        key = ("model", "loss", "seed")
        rows = [old for old in rows if any(old[k] != row[k] for k in key)] + [row]
        write_text(path, json.dumps(rows, indent=1) + "\n")
    for row in rows:
        screen.write(
            f"{row['model']}, {row['loss']}: mAP50 {row['mAP50']:.4f} "
            f"(11-point {row['mAP50_11_point']:.4f}), "
            f"COCO AP {row['COCO_AP']:.4f}, {row['minutes']} minutes; "
            + ", ".join(f"{name} {value:.3f}" for name, value in row["per_class"].items())
        )


if __name__ == "__main__":
    main()
