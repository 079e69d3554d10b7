"""The detector inside another program: a counter that watches a folder of camera pictures.

The model is loaded once; pictures may come from anywhere as arrays (a camera, a web request, a
database). What comes back are NumPy arrays and plain values.

    python examples/inside_another_program.py best.keras pictures/ --only car,bus
"""

import argparse
import json
from pathlib import Path

import yolo
from yolo.pictures.files import read_image


class Counter:
    """Counts objects in pictures with one loaded detector."""

    def __init__(self, weights, *, only=None, score=0.4):
        # Our own .keras, Darknet's .weights, torchvision's .pth: whatever opens.
        self.detector = yolo.load(weights)
        self.only, self.score = only, score

    def look_at(self, image):
        """Return the detections in one picture (H, W, 3) uint8 RGB, of any size."""
        (found,) = self.detector.detect(image, score_threshold=self.score)
        # Selecting gives a new `Detections`; a mask would do as well: found[found.areas > 100].
        return found.where(classes=self.only, area=100.0)


def main(argv=None):
    """Print one line of JSON for each picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", type=lambda text: text.split(","), help="class names")
    args = parser.parse_args(argv)
    counter = Counter(args.weights, only=args.only)
    for path in sorted(args.folder.glob("*.jpg")):
        found = counter.look_at(read_image(path))
        entry = {"picture": path.name, "counts": found.counts}
        if len(found):
            best = found[0]  # best first
            entry["best"] = best.to_json()[0]
        print(json.dumps(entry, ensure_ascii=False))


if __name__ == "__main__":
    main()
