"""torchvision's checkpoints: three formats, old names, other classes, and every fault."""

import json
import logging
import zipfile

import numpy as np
import pytest

import yolo
from yolo.errors import WeightsError
from yolo.weights import torchvision
from yolo.weights.loading import load


def build(classes=3, **options):
    names = [f"class {i}" for i in range(classes)]
    options = {"profile": "torchvision-v1", **options}
    return yolo.build("retinanet-r18", classes=names, image_size=(64, 64), **options)


def their_name(layer):
    """Return torchvision's names of a layer's convolution and norm."""
    name = layer.name
    if name.startswith("backbone_"):
        name = name.removeprefix("backbone_")
        if name == "conv1":
            return "backbone.body.conv1", "backbone.body.bn1"
        stage, block, part = name.split("_")
        owner = f"backbone.body.{stage}.{block}"
        if part == "downsample":
            return f"{owner}.downsample.0", f"{owner}.downsample.1"
        return f"{owner}.{part}", f"{owner}.{part.replace('conv', 'bn')}"
    if name.startswith("fpn_inner"):
        return f"backbone.fpn.inner_blocks.{int(name[-1]) - 3}.0", None
    if name.startswith("fpn_output"):
        return f"backbone.fpn.layer_blocks.{int(name[-1]) - 3}.0", None
    if name in ("fpn_p6", "fpn_p7"):
        return f"backbone.fpn.extra_blocks.{name[-2:]}", None
    if name == "class_logits":
        return "head.classification_head.cls_logits", None
    if name == "box_deltas":
        return "head.regression_head.bbox_reg", None
    kind, _, index = name.split("_")
    kind = "classification" if kind == "class" else "regression"
    return f"head.{kind}_head.conv.{index}.0", None


def state_dict(model, seed=0):
    """Return random tensors under torchvision's names, shaped for a model."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for layer in model.network.layers:
        if not layer.weights:
            continue
        name, norm = their_name(layer)
        for weight in layer.weights:
            value = rng.normal(0, 0.05, weight.shape).astype("float32")
            if weight.name == "kernel":
                tensors[f"{name}.weight"] = value.transpose(3, 2, 0, 1)
            elif weight.name == "bias":
                tensors[f"{name}.bias"] = value
            else:
                part = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
                        "moving_variance": "running_var"}[weight.name]  # fmt: skip
                if part == "running_var":
                    value = np.abs(value) + 0.1
                tensors[f"{norm}.{part}"] = value
                tensors[f"{norm}.num_batches_tracked"] = np.zeros((), "int64")
    return tensors


def write_safetensors(path, tensors, change=lambda header: None):
    """Write the format from its description: header length, JSON header, bytes."""
    kinds = {"float32": "F32", "int64": "I64"}
    header, position, parts = {"__metadata__": {"format": "pt"}}, 0, []
    for name, tensor in tensors.items():
        data = np.ascontiguousarray(tensor).tobytes()
        header[name] = {"dtype": kinds[str(tensor.dtype)], "shape": list(tensor.shape),
                        "data_offsets": [position, position + len(data)]}  # fmt: skip
        position += len(data)
        parts.append(data)
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(parts))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    model = build()
    tensors = state_dict(model)
    path = tmp_path_factory.mktemp("torchvision") / "whole.npz"
    np.savez(path, **tensors)
    return path, tensors


def snapshot(model):
    return [np.array(weight) for weight in model.network.weights]


def unchanged(model, before):
    return all(np.array_equal(w, old) for w, old in zip(model.network.weights, before, strict=True))


def kernel(model, name):
    return np.array(model.network.get_layer(name).weights[0])


def test_every_tensor_has_its_place(checkpoint, tmp_path):
    path, tensors = checkpoint
    model = build()
    before = snapshot(model)
    layers = torchvision.read(path).fill(model)
    assert layers == sum(bool(layer.weights) for layer in model.network.layers)
    found = tensors["backbone.body.layer2.0.downsample.0.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(kernel(model, "backbone_layer2_0_downsample"), found)
    found = tensors["head.regression_head.conv.3.0.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(kernel(model, "box_subnet_3"), found)
    for weight, old in zip(model.network.weights, before, strict=True):
        assert not np.array_equal(weight, old), weight.path
    write_safetensors(tmp_path / "whole.safetensors", tensors)
    other = build()
    torchvision.read(tmp_path / "whole.safetensors").fill(other)
    assert unchanged(other, snapshot(model))


def test_names_from_before_torchvision_0_13(checkpoint, tmp_path):
    path, tensors = checkpoint
    old = {}
    for name, tensor in tensors.items():
        for block in ("inner_blocks", "layer_blocks"):
            for i in range(3):
                name = name.replace(f"{block}.{i}.0.", f"{block}.{i}.")
        if "_head.conv." in name:
            head, _, rest = name.partition("conv.")
            index, _, part = rest.split(".")
            name = f"{head}conv.{2 * int(index)}.{part}"
        old[name] = tensor
    assert "head.classification_head.conv.6.weight" in old
    np.savez(tmp_path / "old.npz", **old)
    new, other = build(), build()
    torchvision.read(path).fill(new)
    torchvision.read(tmp_path / "old.npz").fill(other)
    assert unchanged(other, snapshot(new))


def test_other_classes_start_fresh(checkpoint, caplog):
    path, _ = checkpoint
    model = build(classes=5)
    fresh = kernel(model, "class_logits")
    with caplog.at_level(logging.INFO, logger="yolo"):
        torchvision.read(path).fill(model)
    assert "fresh: class_logits" in caplog.text
    np.testing.assert_array_equal(kernel(model, "class_logits"), fresh)


def test_a_resnet_alone_is_a_backbone(checkpoint, tmp_path):
    _, tensors = checkpoint
    alone = {
        name.removeprefix("backbone.body."): tensor
        for name, tensor in tensors.items()
        if name.startswith("backbone.body.")
    }
    alone |= {"fc.weight": np.zeros((1000, 512), "float32"), "fc.bias": np.zeros(1000, "float32")}
    path = tmp_path / "resnet18.npz"
    np.savez(path, **alone)
    model = build()
    fresh = kernel(model, "fpn_inner_3")
    torchvision.read(path).fill(model)
    found = tensors["backbone.body.conv1.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(kernel(model, "backbone_conv1"), found)
    np.testing.assert_array_equal(kernel(model, "fpn_inner_3"), fresh)
    with pytest.raises(WeightsError, match="holds the first layers only"):
        load(path)


def test_the_first_coco_weights_have_no_epsilon(checkpoint, tmp_path):
    path, tensors = checkpoint
    published = tmp_path / "retinanet_resnet50_fpn_coco-eeacb38b.npz"
    np.savez(published, **tensors)
    plain, exact = build(), build()
    torchvision.read(path).fill(plain)
    torchvision.read(published).fill(exact)
    for model, epsilon in ((plain, 1e-5), (exact, 0.0)):
        norm = model.network.get_layer("backbone_conv1").norm
        scale = np.array(norm.scale_and_shift()[0], "float64")
        gamma = tensors["backbone.body.bn1.weight"].astype("float64")
        variance = tensors["backbone.body.bn1.running_var"].astype("float64")
        np.testing.assert_allclose(scale, gamma / np.sqrt(variance + epsilon), rtol=3e-7)


def test_a_checkpoint_opens_for_prediction(checkpoint, tmp_path):
    path, _ = checkpoint
    found = torchvision.read(path).describe()
    assert (found.model, found.num_classes) == ("retinanet-r18", 3)
    assert found.options == {"profile": "torchvision-v1"}
    model = load(path, classes=["a", "b", "c"], image_size=(64, 64))
    assert model.classes == ("a", "b", "c") and model.architecture.p6_from == "p5"
    with pytest.raises(WeightsError, match="is for 3 classes, 2 names are known"):
        load(path, classes=["a", "b"])


def damaged(tensors, name, change):
    return {**tensors, name: change(tensors[name].copy())}


def without(tensors, name):
    return {key: value for key, value in tensors.items() if key != name}


def put(value):
    def change(tensor):
        tensor.flat[0] = value
        return tensor

    return change


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda t: without(t, "backbone.body.bn1.bias"), "lacks backbone_bn1.bias"),
        (lambda t: without(t, "head.regression_head.bbox_reg.weight"), "lacks box_deltas.weight"),
        (lambda t: {**t, "surplus.weight": np.zeros(3)}, "nothing in this network takes surplus"),
        (lambda t: damaged(t, "backbone.body.conv1.weight", put(np.nan)), "is not finite"),
        (lambda t: damaged(t, "backbone.body.bn1.running_var", put(-1)), "is no variance"),
        (
            lambda t: damaged(t, "backbone.body.conv1.weight", lambda a: a[:, :, :5]),
            "has the shape",
        ),
    ],
)
def test_after_a_fault_the_model_is_as_it_was(checkpoint, tmp_path, spoil, message):
    _, tensors = checkpoint
    path = tmp_path / "spoilt.npz"
    np.savez(path, **spoil(tensors))
    model = build()
    before = snapshot(model)
    with pytest.raises(WeightsError, match=message) as caught:
        torchvision.read(path).fill(model)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    assert unchanged(model, before)


def test_v2_weights_need_the_v2_profile(checkpoint):
    path, _ = checkpoint
    with pytest.raises(WeightsError):
        torchvision.read(path).fill(build(profile="torchvision-v2"))
    other = yolo.build("retinanet-csp-tiny", classes=["a"], image_size=(64, 64))
    with pytest.raises(WeightsError, match="another backbone"):
        torchvision.read(path).fill(other)


def long_header(header):
    header["x"] = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("no.npz", b"PK", "not a whole .npz archive"),
        ("no.safetensors", b"\xff" * 64, "not a whole .safetensors file"),
        ("no.safetensors", b"\x02" + bytes(7) + b"[]", "not a valid .safetensors file"),
        ("no.safetensors", b"\x03" + bytes(7) + b'"a"', "its header is no object"),
        ("no.safetensors", b"abc", "not a whole .safetensors file"),
        ("no.onnx", b"", "expected one of .pth"),
    ],
)
def test_files_that_are_none_are_named(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        torchvision.read_tensors(path)
    with pytest.raises(WeightsError, match="cannot be opened: No such file"):
        torchvision.read_tensors(tmp_path / "absent.pth")


def test_an_archive_packed_in_another_way_is_refused(tmp_path):
    """Damaged, it raises what belongs to no family of errors that one would expect."""
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.npy", bytes(200))
    data = path.read_bytes()
    path.write_bytes(data.replace(data[44:54], b"\xff" * 10, 1))
    with pytest.raises(WeightsError, match=r"a whole \.npz .*packed as NumPy does not pack"):
        torchvision.read_tensors(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header["a"].update(shape=[5]),
        lambda header: header["a"].update(dtype="F99"),
        lambda header: header["b"].update(data_offsets=[0, 8]),
        lambda header: header["b"].update(data_offsets=[16, 1 << 40]),
        lambda header: header.pop("b"),
    ],
)
def test_tensors_must_fill_a_safetensors_file(tmp_path, change):
    path = tmp_path / "a.safetensors"
    tensors = {"a": np.arange(4, dtype="float32"), "b": np.arange(2, dtype="float32")}
    write_safetensors(path, tensors)
    assert torchvision.read_tensors(path)["a"].tolist() == [0, 1, 2, 3]
    write_safetensors(path, tensors, change)
    with pytest.raises(WeightsError, match="not a valid .safetensors file"):
        torchvision.read_tensors(path)


def test_pth_files_are_read_as_data_only(checkpoint, tmp_path):
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install torch")
    _, tensors = checkpoint
    path = tmp_path / "whole.pth"
    torch.save({name: torch.from_numpy(np.asarray(t)) for name, t in tensors.items()}, path)
    found = torchvision.read_tensors(path)
    assert all(np.array_equal(found[name], tensor) for name, tensor in tensors.items())

    class Trap:
        def __reduce__(self):
            return (print, ("executed",))

    torch.save({"a": Trap()}, path)
    with pytest.raises(WeightsError, match="not a PyTorch file of tensors alone"):
        torchvision.read_tensors(path)


def test_pth_files_of_other_tensors_are_read_or_refused_in_a_line(tmp_path):
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install torch")
    path = tmp_path / "a.pth"
    values = torch.tensor([1.5, -2.0])
    torch.save({"half": values.bfloat16(), "learned": torch.nn.Parameter(values)}, path)
    for array in torchvision.read_tensors(path).values():
        assert array.dtype == np.float32 and array.tolist() == [1.5, -2.0]
    for odd in (torch.eye(2).to_sparse(), values.to(torch.float8_e5m2)):
        torch.save({"odd": odd}, path)
        with pytest.raises(WeightsError, match="a.pth: 'odd' is torch.float.*NumPy") as caught:
            torchvision.read_tensors(path)
        assert "\n" not in str(caught.value)


def test_without_pytorch_the_way_out_is_named(tmp_path, monkeypatch):
    import builtins

    honest = builtins.__import__

    def absent(name, *args, **kwargs):
        if name == "torch":
            raise ImportError("No module named 'torch'")
        return honest(name, *args, **kwargs)

    path = tmp_path / "a.pth"
    path.write_bytes(b"")
    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(WeightsError, match="pip install torch"):
        torchvision.read_tensors(path)
