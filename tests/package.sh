#!/bin/bash
# Usage: package.sh PYTHON WHEEL. Installs a wheel with all it needs into an empty environment, and
# trains, predicts and evaluates with it in an empty folder.
set -euo pipefail
wheel=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$1" -m venv "$work/venv"
python="$work/venv/bin/python"
"$python" -m pip install --quiet "$wheel"
"$python" -m pip check
mkdir "$work/empty"
cd "$work/empty"
unset PYTHONPATH
"$python" -c "import keras_focal, sys; assert 'yolo' not in sys.modules"
"$python" -c "from yolo.data.demo import write_shapes; write_shapes('data', train=8, val=2, test=2)"
"$work/venv/bin/keras-focal" models
data="data/VOCdevkit/VOC2007"
"$python" -m yolo train --data "$data" --image-size 64x64 --epochs 1 --batch-size 4 --name first
"$python" -m yolo predict "$data"/JPEGImages/*1.jpg
"$python" -m yolo evaluate --data "$data" --split test
echo "the wheel trains, predicts and evaluates on its own"
