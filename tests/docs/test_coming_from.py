"""The pages name options that exist, and every name that the tutorial's users look for."""

import importlib
import re
from pathlib import Path

import pytest

from yolo.cli import COMMANDS

DOCS = Path(__file__).resolve().parents[2] / "docs"
PARSERS = [importlib.import_module(f"yolo.cli.{word}").parser() for word in COMMANDS]
# What a user sets by editing the tutorial's scripts, and the files beside them.
NAMES = """
    classes_path anchors_path anchors_mask phi model_path input_shape mosaic mosaic_prob mixup
    mixup_prob special_aug_ratio label_smoothing Init_Epoch Freeze_Epoch Freeze_batch_size
    UnFreeze_Epoch Unfreeze_batch_size Freeze_Train Init_lr Min_lr optimizer_type momentum
    weight_decay lr_decay_type focal_loss focal_alpha focal_gamma iou_type save_period save_dir
    eval_flag eval_period num_workers train_annotation_path val_annotation_path eager train_gpu
    seed mode crop count video_path video_save_path video_fps test_interval fps_image_path
    dir_origin_path dir_save_path heatmap_save_path simplify onnx_save_path confidence nms_iou
    max_boxes letterbox_image map_mode MINOVERLAP score_threhold map_vis VOCdevkit_path
    map_out_path annotation_mode trainval_percent train_percent anchors_num
    voc_annotation.py 2007_train.txt 2007_val.txt train.py predict.py get_map.py yolo.py
    utils_coco/get_map_coco.py utils_coco/coco_annotation.py kmeans_for_anchors.py summary.py
    model_data/yolo4_weight.h5 model_data/voc_classes.txt model_data/yolo_anchors.txt
    model_data/simhei.ttf map_out/ img_out/ nets/ utils/
""".split()


def test_every_name_of_the_tutorial_has_its_counterpart():
    page = (DOCS / "coming-from-the-tutorial.md").read_text(encoding="utf-8")
    left = [line.split("|")[1] for line in page.splitlines() if line.startswith("| ")]
    named = {name for cell in left for quoted in re.findall(r"`([^`]+)`", cell)
             for name in (quoted, quoted.split(" = ")[0])}  # fmt: skip
    assert [name for name in NAMES if name not in named] == []


@pytest.mark.parametrize(
    "name", ["coming-from-the-tutorial", "coming-from-darknet", "export", "troubleshooting"]
)
def test_the_pages_name_options_that_exist(name):
    text = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", text))
    known = {option for parser in PARSERS for option in parser._option_string_actions}
    assert len(named) > 8 and sorted(named - known) == []


def test_the_tests_that_the_pages_name_are_there():
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    places = set(re.findall(r"`(tests/[^`]+)`", text))
    assert len(places) > 4 and [p for p in places if not (DOCS.parent / p).exists()] == []
