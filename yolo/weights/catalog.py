"""The published weights by name: where they are, how many bytes, and their SHA-256.

`--weights yolov4-tiny-coco` downloads the file once; `--weights FILE` needs no network.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from yolo.errors import WeightsError
from yolo.system.cache import cache_folder
from yolo.weights import download

_DARKNET = "https://github.com/AlexeyAB/darknet/releases/download"
_PRE = f"{_DARKNET}/darknet_yolo_v4_pre"
_TORCH = "https://download.pytorch.org/models"
_REDMON = "https://pjreddie.com/media/files"
_TUTORIAL = "https://github.com/bubbliiiing"
# Darknet's cfgs at a commit, and the SHA-256 of those that were compared
_CFGS = "https://raw.githubusercontent.com/AlexeyAB/darknet/59596d7880f6504768df41d6daa586f5cb2b932f/cfg"
CFG_SUMS = {
    "yolov3": "370c7b08d2350fd105a79af9b106c02217d659cd2a5c1e8319a65fa4ced610fa",
    "yolov3-spp": "7a4ec2d7427340fb12059f2b0ef76d6fcfcac132cc287cbbf0be5e3abaa856fd",
    "yolov3-tiny": "84eb7a675ef87c906019ff5a6e0effe275d175adb75100dcb47f0727917dc2c7",
    "yolov4-csp": "768acad80dee117ff72aa5c3912ee6641fc19ee86ffdb5c04bb5d7a64105996f",
    "yolov4-csp-swish": "cbc3273749d68120dbf02e08cb8ee7b1a5d7d4cebfeefcc9832291cd491dbba8",
    "yolov4x-mish": "c26cdc3a9761c9876044665f07a9af1b98724b37ba318ec750195031dd81b802",
    "yolov4-p5": "7901747024b8414bf4ba7a4401e5d5cd397043620bbb7059eda4130a345fbe0b",
    "yolov4-p6": "6e7dc303cf8b455d6e9e6f993138dfe8460e7de0310c351e83fc0d6b1238ce97",
    "yolov7-tiny": "9fbd49151721a52d23112717c0d66552363c899befb8920a7c6857f4d9d8ba46",
    "yolov7": "16e66fa7a47b371be3c1f6afb9a8a8bcdad6edf2443b036691868a25f56b0cb2",
}


@dataclass(frozen=True)
class Entry:
    """A published file.

    Args:
        url: its address; the last part is the file's name.
        about: what it is, in a few words.
        models: those of the zoo that it fills or starts.
        size: bytes, None where they are not known.
        sha256: its SHA-256 in hex; its first digits where only these are published (PyTorch
            puts eight of them in the file's name), None where nothing is known.
        cfg: the Darknet cfg that it cannot be used without, which is fetched with it.
        licence: that of the project which publishes it.
    """

    url: str
    about: str
    models: tuple[str, ...]
    size: int | None = None
    sha256: str | None = None
    cfg: str | None = None
    licence: str = "public domain"

    @property
    def file_name(self) -> str:
        """The last part of the address."""
        return self.url.rpartition("/")[2]


def _darknet(
    release: str, file: str, about: str, models: tuple[str, ...], size: int | None,
    sha256: str | None,
) -> Entry:  # fmt: skip
    return Entry(f"{_DARKNET}/{release}/{file}", about, models, size, sha256)


def _torchvision(
    file: str, about: str, models: tuple[str, ...], size: int | None = None,
    sha256: str | None = None,
) -> Entry:  # fmt: skip
    digits = sha256 or file[:-4].rpartition("-")[2]
    return Entry(f"{_TORCH}/{file}", about, models, size, digits, licence="BSD-3-Clause")


def _of_cfg(
    cfg: str, whole: str, size: int, start: str = "", start_size: int | None = None
) -> dict[str, Entry]:
    """Return the published weights of one of Darknet's cfgs, and those to start from."""
    models = (f"{cfg}.cfg",)
    found = {f"{cfg}-coco": Entry(whole, f"{cfg}, COCO, 80 classes", models, size, cfg=cfg)}
    if start:
        url = f"{whole.rpartition('/')[0]}/{start}"
        about = f"{cfg} without its heads, a start for training"
        found[f"{cfg}-backbone"] = Entry(url, about, models, start_size)
    return found


_FULL, _TINY = ("yolov4", "retinanet-csp-53"), ("yolov4-tiny", "retinanet-csp-tiny")
_R50 = ("retinanet", "retinanet-r50")

# Sizes and sums were compared between independent publications; those of yolov4.conv.137 and
# the later torchvision files are known only as far as they are given here.
CATALOG = {
    "yolov4-coco": _darknet(
        "darknet_yolo_v3_optimal", "yolov4.weights", "YOLOv4, COCO, 80 classes", _FULL, 257_717_640,
        "8463fde6ee7130a947a73104ce73c6fa88618a9d9ecd4a65d0b38f07e17ec4e4",
    ),
    "yolov4-tiny-coco": _darknet(
        "darknet_yolo_v4_pre", "yolov4-tiny.weights", "YOLOv4-tiny, COCO, 80 classes", _TINY,
        24_251_276, "cf9fbfd0f6d4869b35762f56100f50ed05268084078805f0e7989efe5bb8ca87",
    ),
    "yolov4-backbone": _darknet(
        "darknet_yolo_v3_optimal", "yolov4.conv.137", "YOLOv4 without heads, a start for training",
        _FULL, 170_038_676, None,
    ),
    "yolov4-tiny-backbone": _darknet(
        "darknet_yolo_v4_pre", "yolov4-tiny.conv.29", "YOLOv4-tiny's backbone", _TINY, 19_789_716,
        "3c794b8420b12ed2a609daa71d075880e7bd152671323f5eb3e8d9e57e31785b",
    ),
    "retinanet-r50-coco": _torchvision(
        "retinanet_resnet50_fpn_coco-eeacb38b.pth", "RetinaNet, COCO, 91 ids", _R50, 136_595_076,
        "eeacb38b7cec8cf93c57867e05eaab621047f19b0d2ec5accaa405f690da15b7",
    ),
    "retinanet-r50-v2-coco": _torchvision(
        "retinanet_resnet50_fpn_v2_coco-5905b1c5.pth", "RetinaNet v2, COCO, 91 ids", _R50,
        153_130_989, "5905b1c544219215e544dbe319720397bc4e68de61a733a59350d7976645b769",
    ),
    "resnet-18-imagenet": _torchvision(
        "resnet18-f37072fd.pth", "ResNet-18, ImageNet", ("retinanet-r18",), 46_830_571,
        "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    ),
    "resnet-34-imagenet": _torchvision(
        "resnet34-b627a593.pth", "ResNet-34, ImageNet", ("retinanet-r34",), 87_319_819,
        "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f",
    ),
    "resnet-50-imagenet": _torchvision(
        "resnet50-0676ba61.pth", "ResNet-50, ImageNet", _R50, 102_530_333,
        "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    ),
    "resnet-50-v2-imagenet": _torchvision(
        "resnet50-11ad3fa6.pth", "ResNet-50, ImageNet, newer recipe", _R50,
        sha256="11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca",
    ),
    "resnet-101-imagenet": _torchvision(
        "resnet101-63fe2227.pth", "ResNet-101, ImageNet", ("retinanet-r101",)
    ),
    "resnet-101-v2-imagenet": _torchvision(
        "resnet101-cd907fc2.pth", "ResNet-101, ImageNet, newer recipe", ("retinanet-r101",)
    ),
    "resnet-152-imagenet": _torchvision(
        "resnet152-394f9c45.pth", "ResNet-152, ImageNet", ("retinanet-r152",)
    ),
    "resnet-152-v2-imagenet": _torchvision(
        "resnet152-f82ba261.pth", "ResNet-152, ImageNet, newer recipe", ("retinanet-r152",)
    ),
    "yolov4-tutorial-coco": Entry(
        f"{_TUTORIAL}/yolov4-tf2/releases/download/v1.0/yolo4_weight.h5",
        "the tutorial's YOLOv4, COCO, 80 classes", ("yolov4",), licence="MIT",
    ),
    "yolov4-tiny-tutorial-coco": Entry(
        f"{_TUTORIAL}/yolov4-tiny-keras/releases/download/v1.1/yolov4_tiny_weights_coco.h5",
        "the tutorial's YOLOv4-tiny, COCO, 80 classes", ("yolov4-tiny",), licence="MIT",
    ),
    # Counted from their cfgs, which no file of another size would fit
    **_of_cfg("yolov3", f"{_REDMON}/yolov3.weights", 248_007_048, "darknet53.conv.74", 162_482_580),
    **_of_cfg("yolov3-spp", f"{_REDMON}/yolov3-spp.weights", 252_209_544),
    **_of_cfg("yolov3-tiny", f"{_REDMON}/yolov3-tiny.weights", 35_434_956),
    **_of_cfg("yolov4-csp", f"{_PRE}/yolov4-csp.weights", 211_944_840,
              "yolov4-csp.conv.142", 146_548_116),
    **_of_cfg("yolov4-csp-swish", f"{_PRE}/yolov4-csp-swish.weights", 211_944_840,
              "yolov4-csp-swish.conv.164", 185_312_660),
    **_of_cfg("yolov4x-mish", f"{_PRE}/yolov4x-mish.weights", 399_388_168,
              "yolov4x-mish.conv.166", 277_307_668),
    **_of_cfg("yolov4-csp-x-swish", f"{_PRE}/yolov4-csp-x-swish.weights", 399_388_168,
              "yolov4-csp-x-swish.conv.192", 316_069_388),
    **_of_cfg("yolov4-p5", f"{_PRE}/yolov4-p5.weights", 283_669_892,
              "yolov4-p5.conv.232", 256_427_412),
    **_of_cfg("yolov4-p6", f"{_PRE}/yolov4-p6.weights", 510_868_180,
              "yolov4-p6.conv.289", 463_340_948),
    **_of_cfg("yolov7-tiny", f"{_DARKNET}/yolov4/yolov7-tiny.weights", 24_967_560,
              "yolov7-tiny.conv.87", 17_843_092),
    **_of_cfg("yolov7", f"{_DARKNET}/yolov4/yolov7.weights", 147_898_248,
              "yolov7.conv.132", 121_266_068),
    **_of_cfg("yolov7x", f"{_DARKNET}/yolov4/yolov7x.weights", 285_638_760),
}  # fmt: skip


def locate(weights: str | os.PathLike) -> Path:
    """Return the file that a path or a name of the catalogue stands for.

    A file of that name wins, and of a run's folder its best model; else a name is downloaded, once.
    Any other path is returned as given, whether or not there is such a file.

    Raises:
        WeightsError: there is no such file, and the name is nearly one of the catalogue; or it
            is one and cannot be downloaded.
    """
    path, name = Path(weights), str(weights)
    if path.exists():
        return of_run(path)
    if name in CATALOG:
        return fetch(name)
    by_file = {entry.file_name: key for key, entry in CATALOG.items()}
    if path.name in by_file:
        raise WeightsError(f"{path}: no such file; --weights {by_file[path.name]} downloads it")
    near = get_close_matches(name, CATALOG, 1)
    if near and path.suffix == "":
        raise WeightsError(f"{path}: neither a file nor a known name; did you mean {near[0]}?")
    return path


def of_run(path: Path) -> Path:
    """Return the best model of a run's folder, and any other path as it is."""
    best = path / "best.keras"
    return best if path.is_dir() and best.is_file() else path


def offline() -> bool:
    """Tell whether the environment's KERAS_FOCAL_OFFLINE forbids to fetch anything."""
    return os.environ.get("KERAS_FOCAL_OFFLINE", "0") not in ("", "0")


def place(name: str) -> Path:
    """Return where the file of a name lies, or will, in `cache_folder()`."""
    return cache_folder() / CATALOG[name].file_name


def missing(name: str) -> dict[Path, str]:
    """Return what of a name is not in `cache_folder()`: its file, its cfg, each with its address.

    A file of another size than the published one is as good as none.
    """
    entry, path, found = CATALOG[name], place(name), {}
    if entry.cfg is not None and not (beside := path.with_name(f"{entry.cfg}.cfg")).is_file():
        found[beside] = f"{_CFGS}/{beside.name}"
    if not path.is_file() or entry.size not in (None, path.stat().st_size):
        found[path] = entry.url
    return found


def fetch(name: str) -> Path:
    """Download a file of the catalogue into `cache_folder()`, unless it is there, and check it.

    Raises:
        WeightsError: it cannot be downloaded, KERAS_FOCAL_OFFLINE forbids that, or it is not the
            file that was published.
    """
    entry, lacking = CATALOG[name], missing(name)
    for path, url in lacking.items():
        if offline():
            raise WeightsError(
                f"{path}: not there, and KERAS_FOCAL_OFFLINE forbids to fetch it; bring {url}"
            )
        if path == place(name):
            download.download(url, path, size=entry.size, sha256=entry.sha256)
        else:
            download.download(url, path, sha256=CFG_SUMS.get(path.stem))
    return place(name)  # the sum of what was there was checked before it got this name
