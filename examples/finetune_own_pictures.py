"""Fine-tune a detector on one's own labelled pictures, step by step in Python.

`python train.py --data ...` does all of this and more; this is what it does inside, for programs
that want to do it themselves. The data is a folder in VOC format (JPEGImages, Annotations);
without one, drawn shapes take its place.

    python examples/finetune_own_pictures.py --data VOCdevkit/VOC2007 --weights yolov4-tiny.conv.29
"""

import argparse
from pathlib import Path

import yolo
from yolo.boxes.draw import draw_detections
from yolo.data import demo
from yolo.data import folder as dataset
from yolo.evaluation.voc import evaluate_voc
from yolo.inference.predictor import detect_samples
from yolo.pictures.files import read_image, write_image
from yolo.settings.train import TrainConfig
from yolo.training import run_folder, trainer


def main(argv=None):
    """Train, measure, draw; return the mean average precision."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="a folder in VOC format")
    parser.add_argument("--weights", help="where to start: a .keras file or one of Darknet's")
    parser.add_argument("--out", type=Path, default=Path("logs"))
    parser.add_argument("--image-size", type=int, default=416)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--pictures", type=int, default=160, help="to draw, without --data")
    args = parser.parse_args(argv)
    data = args.data or demo.write_shapes(
        args.out / "shapes", train=args.pictures, val=args.pictures // 4, test=args.pictures // 4
    )

    # Every setting of `train.py --help` is a field. Half of the epochs train the head alone, so
    # that a fresh head does not spoil the backbone that was loaded.
    config = TrainConfig(
        data=str(data),
        weights=args.weights,
        save_dir=str(args.out),
        image_size=(args.image_size, args.image_size),
        batch_size=args.batch_size,
        epochs=args.epochs,
        freeze_epochs=args.epochs // 2 if args.weights else 0,
        epochs_between_evaluations=max(1, args.epochs // 3),
        loss="focal",
    )
    pictures = dataset.open_data(config)
    folder = run_folder.create(config)
    run_folder.describe(folder, config, pictures.classes, pictures.divided)
    best = trainer.train(config, pictures, folder, write=print)

    # The file holds all that prediction needs: names, anchors, size and how pictures are resized.
    detector = yolo.load(best)
    found = detect_samples(detector, pictures.test)
    result = evaluate_voc(found, pictures.test, detector.classes)
    print(f"{best}: mAP50 {result.map_all_point:.4f} on {len(pictures.test)} test pictures")
    shown = detector.thresholds.score_threshold
    for sample, one in list(zip(pictures.test, found, strict=True))[:4]:
        drawn = draw_detections(read_image(sample.path), one.where(score=shown))
        write_image(folder / "predictions" / f"{sample.path.stem}.jpg", drawn)
    return result.map_all_point


if __name__ == "__main__":
    main()
