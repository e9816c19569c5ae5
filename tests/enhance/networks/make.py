"""Makes the three networks of this folder, of a few hundred bytes each, so that inference is tested without torch.

    soft.onnx      max(0, 5x5 mean of the image - 0.05 scale): depends on the scale and on 2 pixels to each side
    lopsided.onnx  (image + the pixel to its left) / 2: does not turn with its input
    modulus.onnx   |re + j im|, complex input

Run with onnx installed: python tests/enhance/networks/make.py
"""

import json
from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save_model

FLOAT = TensorProto.FLOAT
FACTS = {"inputs": "magnitude", "multiple": 4, "halo": 4, "tile": 32}
LOPSIDED = np.array([[[[0.5, 0.5, 0.0]]]], dtype=np.float32)
MEAN = np.full((1, 1, 5, 5), 1 / 25, dtype=np.float32)


def write(name: str, nodes: list, constants: dict, facts: dict) -> None:
    """One file; `nodes` lead from image and scale to enhanced."""
    channels = 2 if facts["inputs"] == "complex" else 1
    graph = helper.make_graph(
        nodes,
        name,
        [
            helper.make_tensor_value_info("image", FLOAT, ["batch", channels, "rows", "columns"]),
            helper.make_tensor_value_info("scale", FLOAT, ["batch"]),
        ],
        [helper.make_tensor_value_info("enhanced", FLOAT, ["batch", 1, "rows", "columns"])],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    model.metadata_props.add(key="mmsar", value=json.dumps({"name": name, **facts}))
    checker.check_model(model)
    save_model(model, str(Path(__file__).parent / f"{name}.onnx"))


write(
    "soft",
    [
        helper.make_node("Conv", ["image", "kernel"], ["mean"], pads=[2, 2, 2, 2]),
        helper.make_node("Reshape", ["scale", "shape"], ["scales"]),
        helper.make_node("Mul", ["scales", "share"], ["threshold"]),
        helper.make_node("Sub", ["mean", "threshold"], ["rest"]),
        helper.make_node("Relu", ["rest"], ["enhanced"]),
    ],
    {"kernel": MEAN, "shape": np.array([-1, 1, 1, 1]), "share": np.float32(0.05)},
    FACTS,
)
write(
    "lopsided",
    [helper.make_node("Conv", ["image", "kernel"], ["enhanced"], pads=[0, 1, 0, 1])],
    {"kernel": LOPSIDED},
    {**FACTS, "spacing_mm": 1.0},
)
write(
    "modulus",
    [helper.make_node("ReduceL2", ["image", "axis"], ["enhanced"], keepdims=1)],
    {"axis": np.array([1])},
    {**FACTS, "inputs": "complex", "halo": 0},
)
