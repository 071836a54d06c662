"""Graphs of one or a few operators each, in several versions of the set, with what they are given.

`python tests/imports/onnx_cases.py` writes what onnxruntime puts out to fixtures/onnx/operators.npz.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).parent))

from onnx_writing import chain, node

EXPECTED = Path(__file__).parent / "fixtures" / "onnx" / "operators.npz"
RNG = np.random.default_rng(7)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


@dataclass
class Case:
    name: str
    nodes: list[bytes]
    shape: tuple[int, ...] = (3, 5, 6)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    opset: int = 17
    positive: bool = False

    @property
    def content(self) -> bytes:
        return chain(self.nodes, ("n", *self.shape), self.arrays, opset=self.opset)

    @property
    def x(self) -> np.ndarray:
        """What the graph takes: two samples."""
        x = np.random.default_rng(3).normal(size=(2, *self.shape)).astype(np.float32)
        return np.abs(x) + np.float32(0.1) if self.positive else x


def one(
    name: str,
    op: str,
    arrays: list | tuple = (),
    shape=(3, 5, 6),
    opset: int = 17,
    *,
    positive=False,
    **settings,
) -> Case:
    """Return a graph of one node; its arrays are called a1, a2, ..., and None is left out."""
    names = ["" if array is None else f"a{k}" for k, array in enumerate(arrays, start=1)]
    held = {name: array for name, array in zip(names, arrays, strict=True) if name}
    return Case(name, [node(op, ["x", *names], ["y"], **settings)], shape, held, opset, positive)


K, B = normal(4, 3, 3, 2), normal(4)
C3 = [np.abs(normal(3)) + 1, normal(3), normal(3), np.abs(normal(3)) + 1]

CASES = [
    one("conv", "Conv", [K, B], pads=[1, 0, 2, 1], strides=[2, 1]),
    one("conv_opset7", "Conv", [K], opset=7, kernel_shape=[3, 2], dilations=[2, 1]),
    one("conv_same_upper", "Conv", [K, B], auto_pad="SAME_UPPER", strides=[2, 2]),
    one("conv_same_lower", "Conv", [K, B], auto_pad="SAME_LOWER", strides=[2, 2]),
    one("conv_valid", "Conv", [K, B], auto_pad="VALID"),
    one("conv_groups", "Conv", [normal(6, 1, 3, 3), normal(6)], group=3, pads=[1, 1, 1, 1]),
    one("conv_signal", "Conv", [normal(4, 3, 3), B], shape=(3, 9), pads=[1, 2], strides=[2]),
    one("conv_transpose", "ConvTranspose", [normal(3, 2, 3, 3), normal(2)], strides=[2, 2], pads=[1, 1, 0, 1],
        output_padding=[1, 1]),
    one("conv_transpose_same", "ConvTranspose", [normal(3, 2, 3, 3)], strides=[2, 2], auto_pad="SAME_UPPER"),
    one("conv_transpose_groups", "ConvTranspose", [normal(3, 2, 2, 2)], group=3, strides=[2, 2]),
    one("gemm", "Gemm", [normal(6, 4), normal(4)], shape=(6,)),
    one("gemm_scaled", "Gemm", [normal(4, 6), normal(1, 4)], shape=(6,), alpha=0.5, beta=2.0, transB=1),
    one("gemm_opset9", "Gemm", [normal(6, 4), normal(1)], shape=(6,), opset=9),
    one("matmul", "MatMul", [normal(6, 4)]),
    Case("matmul_bias", [node("MatMul", ["x", "w"], ["h"]), node("Add", ["b", "h"], ["y"])], (6,),
         {"w": normal(6, 4), "b": normal(4)}),
    Case("conv_bias", [node("Conv", ["x", "w"], ["h"]), node("Add", ["h", "b"], ["y"])], (3, 5, 6),
         {"w": K, "b": normal(4, 1, 1)}),
    one("add", "Add", [normal(3, 1, 1)]),
    one("sub", "Sub", [normal(1, 6)], opset=7),
    Case("sub_from", [node("Sub", ["a", "x"], ["y"])], (4,), {"a": normal(4)}),
    one("mul", "Mul", [np.float32(1.7)]),
    one("div", "Div", [np.abs(normal(3, 1, 1)) + 1]),
    Case("div_of", [node("Div", ["a", "x"], ["y"])], (4,), {"a": normal(4)}, positive=True),
    one("pow", "Pow", [np.float32(2.5)], positive=True),
    one("square", "Pow", [np.float32(2)]),
    one("sqrt", "Sqrt", positive=True), one("log", "Log", positive=True), one("reciprocal", "Reciprocal",
        positive=True),
    one("neg", "Neg"), one("abs", "Abs"), one("exp", "Exp"),
    one("clip", "Clip", [np.float32(-0.5), np.float32(0.7)]),
    one("clip_opset6", "Clip", opset=7, min=0.0, max=6.0),
    one("clip_low", "Clip", [None, np.float32(0.2)]),
    one("min", "Min", [normal(3, 1, 1), np.float32(0.5)]),
    one("max", "Max", [normal(3, 1, 1)]),
    Case("sum", [node("Relu", ["x"], ["r"]), node("Sum", ["x", "r", "x"], ["y"])]),
    Case("mean", [node("Tanh", ["x"], ["r"]), node("Mean", ["x", "r"], ["y"])]),
    *[one(op.lower(), op) for op in ("Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "HardSwish", "Identity")],
    one("leaky_relu", "LeakyRelu", alpha=0.3), one("leaky_relu_default", "LeakyRelu"),
    one("prelu", "PRelu", [np.abs(normal(3, 1, 1))]), one("prelu_one", "PRelu", [np.float32([0.4])]),
    one("elu", "Elu", alpha=0.6), one("selu", "Selu"), one("celu", "Celu"), one("thresholded", "ThresholdedRelu",
        alpha=0.4),
    one("hard_sigmoid", "HardSigmoid"), one("hard_sigmoid_other", "HardSigmoid", alpha=0.3, beta=0.4),
    one("mish", "Mish", opset=18), one("gelu", "Gelu", opset=20), one("gelu_tanh", "Gelu", opset=20,
        approximate="tanh"),
    Case("gelu_erf", [node("Div", ["x", "r"], ["d"]), node("Erf", ["d"], ["e"]), node("Add", ["e", "o"], ["p"]),
                      node("Mul", ["x", "p"], ["q"]), node("Mul", ["q", "h"], ["y"])],
         arrays={"r": np.float32(2**0.5), "o": np.float32(1), "h": np.float32(0.5)}),
    Case("gelu_erf_half_first", [node("Mul", ["x", "r"], ["d"]), node("Erf", ["d"], ["e"]), node("Add", ["o", "e"],
        ["p"]),
                                 node("Mul", ["x", "h"], ["q"]), node("Mul", ["p", "q"], ["y"])],
         arrays={"r": np.float32(0.5**0.5), "o": np.float32(1), "h": np.float32(0.5)}),
    one("erf", "Erf"),
    Case("erf_scaled", [node("Div", ["x", "r"], ["d"]), node("Erf", ["d"], ["e"]), node("Sum", ["x", "e"], ["p"]),
                        node("Mul", ["p", "e"], ["y"])], arrays={"r": np.float32(2**0.5)}),
    Case("silu", [node("Sigmoid", ["x"], ["s"]), node("Mul", ["x", "s"], ["y"])]),
    one("softmax", "Softmax", axis=1), one("softmax_last", "Softmax"), one("softmax_opset11", "Softmax", opset=11),
    one("softmax_opset11_axis2", "Softmax", opset=11, axis=2), one("log_softmax", "LogSoftmax", shape=(5,)),
    one("batch_normalization", "BatchNormalization", C3, epsilon=1e-3),
    one("batch_normalization_opset7", "BatchNormalization", C3, opset=7, momentum=0.9),
    one("instance_normalization", "InstanceNormalization", C3[:2], epsilon=1e-3),
    one("layer_normalization", "LayerNormalization", [normal(5, 6), normal(5, 6)], axis=-2),
    one("layer_normalization_scale", "LayerNormalization", [normal(6)]),
    one("group_normalization_18", "GroupNormalization", [normal(2), normal(2)], shape=(4, 5, 6), opset=18,
        num_groups=2),
    one("group_normalization_21", "GroupNormalization", [normal(4), normal(4)], shape=(4, 5, 6), opset=21,
        num_groups=2),
    one("lrn", "LRN", shape=(7, 3, 4), size=5, alpha=0.3, beta=0.6, bias=1.5),
    one("max_pool", "MaxPool", kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1]),
    one("max_pool_ceil", "MaxPool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1, shape=(3, 5, 7)),
    one("max_pool_dilated", "MaxPool", kernel_shape=[2, 2], dilations=[2, 2]),
    one("max_pool_same", "MaxPool", opset=8, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    one("max_pool_signal", "MaxPool", shape=(3, 9), kernel_shape=[2], strides=[2]),
    one("average_pool", "AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    one("average_pool_counted", "AveragePool", kernel_shape=[3, 3], strides=[1, 2], pads=[1, 1, 0, 1],
        count_include_pad=1),
    one("average_pool_same_lower", "AveragePool", kernel_shape=[2, 2], auto_pad="SAME_LOWER"),
    one("global_average_pool", "GlobalAveragePool"), one("global_max_pool", "GlobalMaxPool"),
    one("global_average_pool_signal", "GlobalAveragePool", shape=(3, 9)),
    one("reduce_mean", "ReduceMean", axes=[2, 3], keepdims=0), one("reduce_sum", "ReduceSum", [ints(-1)]),
    one("reduce_max", "ReduceMax", axes=[1], keepdims=1), one("reduce_min_18", "ReduceMin", [ints(2)], opset=18,
        keepdims=0),
    one("reduce_l1", "ReduceL1", axes=[1]), one("reduce_l2", "ReduceL2", axes=[2], keepdims=0),
    one("reduce_square", "ReduceSumSquare", axes=[3]),
    one("flatten", "Flatten"), one("flatten_negative", "Flatten", axis=-3),
    one("reshape", "Reshape", [ints(0, -1, 6)]), one("reshape_open", "Reshape", [ints(-1, 90)]),
    one("squeeze", "Squeeze", [ints(1)], shape=(1, 5, 6)), one("squeeze_opset11", "Squeeze", shape=(1, 5, 6),
        opset=11, axes=[1]),
    one("unsqueeze", "Unsqueeze", [ints(1, -1)], shape=(5,)), one("unsqueeze_opset11", "Unsqueeze", opset=11, axes=[2]),
    one("transpose", "Transpose", perm=[0, 2, 3, 1]),
    Case("concat", [node("Neg", ["x"], ["m"]), node("Concat", ["x", "m", "x"], ["y"], axis=1)]),
    Case("split", [node("Split", ["x", "s"], ["a", "b"], axis=1), node("Concat", ["b", "a"], ["y"], axis=1)], (5, 2, 2),
         {"s": ints(2, 3)}),
    Case("split_opset11", [node("Split", ["x"], ["a", "b"], axis=1), node("Sub", ["a", "b"], ["y"])], (4, 2), opset=11),
    Case("split_18", [node("Split", ["x"], ["a", "b"], axis=2, num_outputs=2), node("Concat", ["b", "a"], ["y"],
        axis=2)], opset=18),
    one("slice", "Slice", [ints(1, -4), ints(9, -1), ints(2, 3), ints(2, 1)]),
    one("slice_opset9", "Slice", opset=9, axes=[1], starts=[1], ends=[3]),
    one("slice_backwards", "Slice", [ints(-1, -2), ints(-(2**62), 0), ints(1, 3), ints(-1, -2)]),
    one("gather_turned", "Gather", [ints(2, 1, 0)], axis=1), one("gather_any", "Gather", [ints(2, 0, 0, 1, -1)], axis=1),
    one("gather", "Gather", [np.array(-2)], axis=2), one("gather_several", "Gather", [ints(1, 3, 5)], axis=3),
    one("pad", "Pad", [ints(0, 0, 1, 2, 0, 0, 0, 1), np.float32(1.5)]), one("pad_opset10", "Pad", opset=10, pads=[0,
        0, 0, 1, 0, 0, 1, 0]),
    one("pad_reflect", "Pad", [ints(0, 0, 2, 1, 0, 0, 1, 2)], mode="reflect"),
    one("pad_edge", "Pad", [ints(1, 2, 1, 0), None, ints(2, 3)], opset=18, mode="edge"),
    one("upsample_opset9", "Upsample", [np.float32([1, 1, 2, 3])], opset=9),
    one("upsample_opset7", "Upsample", opset=7, mode="linear", scales=[1.0, 1.0, 2.0, 2.0]),
    one("resize_10", "Resize", [np.float32([1, 1, 2, 2])], opset=10),
    one("resize_nearest", "Resize", [None, None, ints(2, 3, 10, 12)], coordinate_transformation_mode="asymmetric",
        nearest_mode="floor"),
    one("resize_nearest_half", "Resize", [None, np.float32([1, 1, 1.5, 0.5])]),
    one("resize_nearest_sizes", "Resize", [None, None, ints(2, 3, 7, 4)]),
    one("resize_nearest_torch", "Resize", [None, None, ints(2, 3, 15, 9)], coordinate_transformation_mode="asymmetric",
        nearest_mode="floor"),
    one("resize_nearest_corners", "Resize", [None, None, ints(2, 3, 7, 4)], coordinate_transformation_mode="align_corners",
        nearest_mode="round_prefer_ceil"),
    one("resize_nearest_10", "Resize", [np.float32([1, 1, 0.5, 1.5])], opset=10),
    one("resize_linear", "Resize", [None, None, ints(2, 3, 7, 4)], mode="linear"),
    one("resize_corners", "Resize", [None, None, ints(2, 3, 8, 3)], mode="linear",
        coordinate_transformation_mode="align_corners"),
    one("resize_cubic", "Resize", [None, np.float32([1, 1, 2, 1.5])], mode="cubic"),
    one("depth_to_space", "DepthToSpace", shape=(8, 2, 3), blocksize=2),
    one("depth_to_space_crd", "DepthToSpace", shape=(8, 2, 3), blocksize=2, mode="CRD"),
    one("space_to_depth", "SpaceToDepth", shape=(2, 4, 6), blocksize=2),
    one("dropout_opset7", "Dropout", opset=7, ratio=0.3), one("dropout", "Dropout", [np.float32(0.4)]),
    one("cast", "Cast", to=1), one("expand", "Expand", [ints(1, 3, 5, 6)], shape=(3, 1, 6)),
    Case("constant", [node("Constant", [], ["c"], value=normal(3, 1, 1)), node("Mul", ["x", "c"], ["y"])]),
    Case("constant_of_shape", [node("ConstantOfShape", ["s"], ["c"], value=np.float32([0.5])), node("Add", ["x",
        "c"], ["y"])],
         arrays={"s": ints(3, 1, 1)}),
    Case("shape_arithmetic", [
        node("Shape", ["x"], ["s"]), node("Gather", ["s", "i"], ["n"], axis=0), node("Unsqueeze", ["n", "zero"],
            ["n1"]),
        node("Concat", ["n1", "rest"], ["t"], axis=0), node("Reshape", ["x", "t"], ["y"])],
         arrays={"i": np.array(0), "zero": ints(0), "rest": ints(-1)}),
    Case("size_from_shape", [
        node("Shape", ["x"], ["s"]), node("Slice", ["s", "a", "b"], ["hw"]), node("Mul", ["hw", "two"], ["big"]),
        node("Shape", ["x"], ["s2"]), node("Slice", ["s2", "z", "a"], ["nc"]), node("Concat", ["nc", "big"], ["t"],
            axis=0),
        node("Resize", ["x", "", "", "t"], ["y"], mode="linear")],
         arrays={"z": ints(0), "a": ints(2), "b": ints(4), "two": ints(2)}),
    Case("transposed_weights", [node("Transpose", ["w"], ["t"], perm=[1, 0]), node("MatMul", ["x", "t"], ["y"])],
        (6,), {"w": normal(4, 6)}),
    Case("not_sorted", [node("Relu", ["h"], ["y"]), node("MatMul", ["x", "w"], ["h"])], (6,), {"w": normal(6, 4)}),
]  # fmt: skip


def write() -> None:
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    outputs = {}
    for case in CASES:
        session = onnxruntime.InferenceSession(case.content, providers=["CPUExecutionProvider"])
        outputs[case.name] = session.run(["y"], {"x": case.x})[0]
    np.savez_compressed(EXPECTED, **outputs)


if __name__ == "__main__":
    write()
