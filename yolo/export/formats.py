"""One writer for each format: from the graph to a file."""

from __future__ import annotations

import contextlib
import gc
import logging
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import tensorflow as tf
from tensorflow.lite.python.convert_phase import ConverterError

from yolo.export.graph import Graph
from yolo.export.info import ExportInfo
from yolo.system.optional import import_optional

# What onnxruntime 1.17 of early 2024 and everything since reads.
ONNX_OPSET = 17


def write_saved_model(graph: Graph, path: Path, info: ExportInfo, pictures: Callable) -> None:
    """Write a SavedModel: suppression as its default signature, `nms` and `raw` beside it."""
    signatures = {
        "serving_default": graph.served.get_concrete_function(),
        "nms": graph.nms.get_concrete_function(),
        "raw": graph.raw.get_concrete_function(),
    }
    tf.saved_model.save(graph, str(path), signatures=signatures)


def write_onnx(graph: Graph, path: Path, info: ExportInfo, pictures: Callable) -> None:
    """Write ONNX; the thresholds of suppression are inputs that may be left out."""
    onnx = import_optional("onnx", "onnx", "export to ONNX")
    tf2onnx = import_optional("tf2onnx", "tf2onnx", "export to ONNX")
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    function = graph.nms if info.nms else graph.raw
    with warnings.catch_warnings(), _copies_freed_soon():
        warnings.simplefilter("ignore")  # of tf2onnx, about NumPy 2
        model, _ = tf2onnx.convert.from_function(
            function, input_signature=function.input_signature, opset=ONNX_OPSET
        )
    if info.nms:
        for name, value in graph.thresholds.items():
            default = onnx.helper.make_tensor(name, onnx.TensorProto.FLOAT, [], [value])
            model.graph.initializer.append(default)
    onnx.helper.set_model_props(model, {"classes": "\n".join(info.classes), "resize": info.resize})
    model.producer_name = "keras-focal"
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


@contextlib.contextmanager
def _copies_freed_soon() -> Iterator[None]:
    """Look for garbage often.

    tf2onnx copies the graph with its weights some dozen times, and each copy refers to itself: with
    Python's usual pace YOLOv4 of 258 MB took 18 GB, this way 6. What stood before is left out, so
    that looking costs little.
    """
    pace = gc.get_threshold()
    gc.freeze()
    gc.collect()
    gc.set_threshold(700, 5, 2)
    try:
        yield
    finally:
        gc.set_threshold(*pace)
        gc.unfreeze()
        gc.collect()


def write_openvino(graph: Graph, path: Path, info: ExportInfo, pictures: Callable) -> None:
    """Write OpenVINO's pair of files: `path`, an .xml, and the .bin of its weights."""
    openvino = import_optional("openvino", "openvino", "export to OpenVINO")
    model = openvino.convert_model(graph.raw)
    _let_ties_be(model)
    # Left to itself, OpenVINO stores the weights of a float32 model in float16.
    openvino.save_model(model, path, compress_to_fp16=info.quantize == "float16")


def _let_ties_be(model) -> None:
    """Make OpenVINO's `TopK` choose among equal scores as it likes.

    As converted it takes the first, by comparing each score with each that it keeps: of a
    RetinaNet's prediction that takes nine tenths.
    """
    opset11 = import_optional("openvino.opset11", "openvino", "export to OpenVINO")
    for old in [node for node in model.get_ops() if node.get_type_name() == "TopK"]:
        how = old.get_attributes()
        new = opset11.topk(
            old.input_value(0), old.input_value(1), how["axis"], how["mode"], how["sort"],
            index_element_type=str(how["index_element_type"]), stable=False,
        )  # fmt: skip
        for place, output in enumerate(old.outputs()):
            output.replace(new.output(place))


def write_litert(graph: Graph, path: Path, info: ExportInfo, pictures: Callable) -> None:
    """Write LiteRT's file (.tflite), quantised as `info` says.

    "dynamic" stores weights as whole numbers, "float16" in half the bits; for "int8" the maps are
    whole numbers, too, by the ranges seen on `pictures()`. Input and outputs stay float32.
    """
    folder = path.with_name(f".{path.name}.graph")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tf.lite, about its own interpreter
        try:
            # Only by way of a SavedModel does the file keep the names of its outputs.
            tf.saved_model.save(graph, str(folder), signatures={"raw": graph.raw})
            converter = tf.lite.TFLiteConverter.from_saved_model(
                str(folder), signature_keys=["raw"]
            )
            if info.quantize != "none":
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
            if info.quantize == "float16":
                converter.target_spec.supported_types = [tf.float16]
            if info.quantize == "int8":
                content = _in_int8(converter, graph, pictures)
            else:
                content = converter.convert()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    path.write_bytes(content)


def _in_int8(converter, graph: Graph, pictures: Callable) -> bytes:
    """Return the file with maps in int8, but for the heads' outputs and their decoding.

    One step of int8 is 1/256 of a map's whole range. In a head's output that range holds box
    sizes, objectness and classes together, and in the decoded boxes it is the picture and more:
    boxes would be off by tens of pixels. These last steps are little work and stay float32.
    """

    def batches():
        return ([batch] for batch in pictures())

    converter.representative_dataset = batches
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
        tf.lite.OpsSet.TFLITE_BUILTINS,
    ]
    # The debugger is TensorFlow's way to quantise all but some operations.
    debugger = tf.lite.experimental.QuantizationDebugger(converter=converter, debug_dataset=batches)
    interpreter = tf.lite.Interpreter(model_content=debugger.calibrated_model)
    names = {tensor["name"] for tensor in interpreter.get_tensor_details()}
    names_kept = {tensor["name"] for tensor in interpreter.get_output_details()}
    names_kept |= {name for name in names if any(part in name for part in graph.float_parts)}
    debugger.options = tf.lite.experimental.QuantizationDebugOptions(
        denylisted_nodes=sorted(names_kept)
    )
    return debugger.get_nondebug_quantized_model()


# What the converters raise where a model has something that their format lacks.
REFUSALS = (ConverterError, ValueError, TypeError, RuntimeError)
WRITERS = {
    "saved_model": write_saved_model,
    "onnx": write_onnx,
    "openvino": write_openvino,
    "litert": write_litert,
}
