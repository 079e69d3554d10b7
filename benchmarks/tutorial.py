"""Draw the two pictures of docs/tutorial.md that show its example, as the page computes it.

python -m benchmarks.tutorial
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from yolo.system import terminal

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "figures"
SIZE = (640, 864)
MISSED = 0.05  # what the objects' anchors get in the page's example


def example():
    """Return the page's picture, its boxes, the anchors, and the object of each or a mark."""
    import yolo
    from yolo.data.demo_pictures import SHAPES_CLASSES, Drawing, draw_picture
    from yolo.models.retinanet.targets import assign
    from yolo.pictures.fit import fit_image

    drawing = Drawing(radius=(9, 40), objects=(10, 10))
    picture, objects = draw_picture(np.random.default_rng(4), drawing=drawing)
    image, fit = fit_image(picture, SIZE)
    boxes = fit.to_network(np.array([item.box for item in objects], "float32"))
    detector = yolo.build("retinanet-csp-tiny", classes=SHAPES_CLASSES, image_size=SIZE)
    anchors = detector.anchors(SIZE)
    targets = assign(
        detector.architecture, detector.loss_settings, SIZE, anchors, boxes[None],
        np.zeros((1, len(boxes)), "int32"),
    )  # fmt: skip
    return image, boxes, anchors, np.array(targets.matched[0])


def draw_anchors(path: Path) -> None:
    """Draw the objects' boxes thick and the anchors that are foreground thin."""
    from yolo.pictures.files import cv2
    from yolo.system.writing import write_bytes

    image, boxes, anchors, matched = example()
    canvas = np.ascontiguousarray(image[..., ::-1])
    for box in anchors[matched >= 0].round().astype(int):
        cv2.rectangle(canvas, box[:2].tolist(), box[2:].tolist(), (255, 255, 255), 1)
    for box in boxes.round().astype(int):
        cv2.rectangle(canvas, box[:2].tolist(), box[2:].tolist(), (0, 255, 255), 3)
    canvas = cv2.resize(canvas, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, 75])
    write_bytes(path, data.tobytes())


def draw_shares(path: Path) -> None:
    """Draw the objects' share of the loss while the background gets easier."""
    from matplotlib.figure import Figure

    from keras_focal.analysis import loss_against_probability
    from yolo.models.retinanet.targets import BACKGROUND
    from yolo.system.writing import replacing

    _, _, _, matched = example()
    foreground, background = (matched >= 0).sum(), (matched == BACKGROUND).sum()
    p = np.geomspace(0.5, 0.001, 200)  # of the background
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for name, alpha, gamma in (
        ("cross-entropy", 0.5, 0.0),
        ("balanced cross-entropy, α = 0.75", 0.75, 0.0),
        ("focal loss, α = 0.25, γ = 2", 0.25, 2.0),
    ):
        missed = loss_against_probability([MISSED], gammas=[gamma])[gamma]
        easy = loss_against_probability(1 - p, gammas=[gamma])[gamma]
        objects = alpha * foreground * missed
        axes.plot(p, 100 * objects / (objects + (1 - alpha) * background * easy), label=name)
    axes.set_xscale("log")
    axes.invert_xaxis()
    axes.set_xlabel("p of every background anchor: easier to the right")
    axes.set_ylabel("objects' share of the loss, %")
    axes.set_title(f"{foreground} missed object anchors among {background:,}")
    axes.legend()
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=90)


def main() -> None:
    """Draw both."""
    screen = terminal.Screen()
    terminal.import_tensorflow_quietly(verbose=False)
    for name, draw in (
        ("tutorial_picture.jpg", draw_anchors),
        ("tutorial_shares.png", draw_shares),
    ):
        draw(FOLDER / name)
        screen.write(f"wrote {FOLDER / name}")


if __name__ == "__main__":
    main()
