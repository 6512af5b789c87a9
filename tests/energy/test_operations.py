# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Every figure here is worked out by hand, or by somebody else's counter."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra: train)")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from lowlat_nodes import resources  # noqa: E402
from lowlat_nodes.energy.operation_costs import HOROWITZ_45NM, JOUPPI_7NM, TABLES  # noqa: E402
from lowlat_nodes.energy.operations import Count, count, estimate, spiking  # noqa: E402
from lowlat_nodes.stream.errors import ConfigurationError  # noqa: E402
from lowlat_nodes.stream.meter import Kind  # noqa: E402

FLOAT, HALF, INT8, INT64 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT8, TensorProto.INT64
MS = "com.microsoft"


class Model:
    """Builds a model, node by node."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "model.onnx"
        self.nodes: list[Any] = []
        self.inputs: list[Any] = []
        self.weights: list[Any] = []

    def input(self, name: str, shape: Sequence[int | str], kind: int = FLOAT) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def weight(self, name: str, shape: Sequence[int], kind: Any = np.float32) -> str:
        self.weights.append(numpy_helper.from_array(np.ones(shape, kind), name))
        return name

    def constant(self, name: str, values: Any) -> str:
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def node(self, op: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def count(self, **shapes: tuple[int, ...]) -> Count:
        last = helper.make_tensor_value_info(self.nodes[-1].output[0], FLOAT, None)
        last.ClearField("type")
        graph = helper.make_graph(self.nodes, "graph", self.inputs, [last], self.weights)
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid(MS, 1)]
        self.path.write_bytes(
            helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()
        )
        return count(self.path, shapes)


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return Model(tmp_path)


def test_a_convolution(model: Model) -> None:
    x = model.input("x", [1, 3, 8, 8])
    model.node("Conv", x, model.weight("w", [16, 3, 3, 3]), model.weight("b", [16]), pads=[1, 1, 1, 1])
    counted = model.count()
    assert counted.total("macs") == {"float32": 16 * 8 * 8 * 3 * 3 * 3}
    assert counted.total("adds") == {}
    assert counted.weight_bytes == (16 * 3 * 3 * 3 + 16) * 4
    assert counted.activation_bytes == (3 * 8 * 8 + 16 * 8 * 8) * 4


def test_a_strided_convolution_in_groups(model: Model) -> None:
    x = model.input("x", [2, 8, 9, 9])
    model.node("Conv", x, model.weight("w", [8, 1, 3, 3]), group=8, strides=[2, 2])
    assert model.count().macs == 2 * 8 * 4 * 4 * 9


def test_a_transposed_convolution(model: Model) -> None:
    x = model.input("x", [1, 4, 5, 5])
    model.node("ConvTranspose", x, model.weight("w", [4, 6, 2, 2]), strides=[2, 2])
    assert model.count().macs == 4 * 5 * 5 * 6 * 2 * 2


@pytest.mark.parametrize("transposed", [0, 1])
def test_a_gemm(model: Model, transposed: int) -> None:
    a = model.input("a", [7, 5] if not transposed else [5, 7])
    model.node("Gemm", a, model.weight("w", [5, 3]), model.weight("b", [3]), transA=transposed)
    assert model.count().macs == 7 * 5 * 3


def test_a_batch_of_products(model: Model) -> None:
    model.node("MatMul", model.input("a", [2, 4, 6, 8]), model.input("b", [2, 4, 8, 10]))
    counted = model.count()
    assert counted.macs == 2 * 4 * 6 * 8 * 10
    assert counted.weight_bytes == 0


def test_a_product_with_a_vector(model: Model) -> None:
    model.node("MatMul", model.input("a", [6, 8]), model.weight("w", [8]))
    assert model.count().macs == 6 * 8


@pytest.mark.parametrize(
    ("equation", "a", "b", "macs"),
    [
        ("bhid,bhjd->bhij", [2, 3, 4, 5], [2, 3, 6, 5], 2 * 3 * 4 * 5 * 6),
        ("...ij,jk->...ik", [2, 3, 4, 5], [5, 7], 2 * 3 * 4 * 5 * 7),
    ],
)
def test_einsum(model: Model, equation: str, a: list[int], b: list[int], macs: int) -> None:
    model.node("Einsum", model.input("a", a), model.input("b", b), equation=equation)
    assert model.count().macs == macs


def test_attention_of_pieces(model: Model) -> None:
    q, k, v = (model.input(name, [1, 2, 6, 8]) for name in "qkv")
    scores = model.node("MatMul", q, model.node("Transpose", k, perm=[0, 1, 3, 2]))
    model.node("MatMul", model.node("Softmax", scores, axis=-1), v)
    counted = model.count()
    assert counted.macs == 2 * (2 * 6 * 6 * 8)
    assert counted.total("others") == {"float32": 2 * (2 * 6 * 6)}
    assert counted.total("adds") == {"float32": 3 * (2 * 6 * 6)}


def test_a_recurrent_layer(model: Model) -> None:
    x = model.input("x", [10, 2, 4])
    model.node("LSTM", x, model.weight("w", [1, 32, 4]), model.weight("r", [1, 32, 8]), hidden_size=8)
    # Four gates of eight units, each of which sees four inputs and eight states, ten times for two.
    assert model.count().macs == 10 * 2 * 4 * 8 * (4 + 8)


def test_elementwise(model: Model) -> None:
    x, y = model.input("x", [2, 5]), model.input("y", [1, 5])
    both = model.node("Mul", model.node("Add", x, y), x)
    model.node("Sigmoid", model.node("Relu", both))
    counted = model.count()
    assert counted.total("adds") == {"float32": 10 + 10}
    assert counted.total("multiplies") == {"float32": 10}
    assert counted.total("others") == {"float32": 10}
    # Add reads 10 and 5 and writes 10, Mul 20 and 10, Relu and Sigmoid 10 and 10 each.
    assert counted.activation_bytes == 4 * (25 + 30 + 20 + 20)


def test_pooling_and_reducing(model: Model) -> None:
    x = model.input("x", [1, 2, 6, 6])
    pooled = model.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    model.node("ReduceMean", pooled, model.constant("axes", np.array([2, 3])), keepdims=0)
    assert model.count().total("adds") == {"float32": 2 * 9 * 3 + 2 * 9}


@pytest.mark.parametrize(("mode", "points"), [("nearest", 0), ("linear", 4), ("cubic", 16)])
def test_resize(model: Model, mode: str, points: int) -> None:
    x = model.input("x", [1, 3, 4, 4])
    scales = model.constant("scales", np.array([1, 1, 2, 2], np.float32))
    model.node("Resize", x, "", scales, mode=mode)
    assert model.count().total("multiplies").get("float32", 0) == points * 3 * 8 * 8


def test_views_move_nothing_and_copies_do(model: Model) -> None:
    x = model.input("x", [4, 6])
    flat = model.node("Reshape", x, model.constant("shape", np.array([24])))
    counted = model.count()
    assert (counted.weight_bytes, counted.activation_bytes) == (0, 0)
    model.node("Concat", flat, flat, axis=0)
    assert model.count().activation_bytes == 4 * (24 + 24 + 48)


def test_of_a_table_only_what_is_looked_up_is_read(model: Model) -> None:
    tokens = model.input("tokens", [3], INT64)
    model.node("Gather", model.weight("table", [1000, 16]), tokens)
    counted = model.count()
    assert counted.weight_bytes == 3 * 16 * 4
    assert counted.activation_bytes == 3 * 8 + 3 * 16 * 4


def test_weights_that_two_layers_share_are_read_once(model: Model) -> None:
    weight = model.weight("w", [4, 4])
    model.node("MatMul", model.node("MatMul", model.input("x", [2, 4]), weight), weight)
    assert model.count().weight_bytes == 16 * 4


def test_what_no_input_changes_is_not_counted(model: Model) -> None:
    x = model.input("x", [2, 4])
    scaled = model.node("Mul", model.weight("w", [4, 4]), model.weight("scale", [4, 4]))
    model.node("MatMul", x, scaled)
    counted = model.count()
    assert counted.total("multiplies") == {}
    assert counted.weight_bytes == 16 * 4


def test_half_precision(model: Model) -> None:
    x = model.input("x", [2, 4], HALF)
    model.node("MatMul", x, model.weight("w", [4, 4], np.float16))
    counted = model.count()
    assert counted.total("macs") == {"float16": 32}
    assert counted.weight_bytes == 32
    assert estimate(counted, HOROWITZ_45NM).arithmetic_j == pytest.approx(32 * (1.1 + 0.4) * 1e-12)


def quantised(model: Model, data: str, *, weights_too: bool = True) -> None:
    scale, zero = model.constant("scale", np.float32(0.1)), model.constant("zero", np.int8(0))
    data = model.node("DequantizeLinear", model.node("QuantizeLinear", data, scale, zero), scale, zero)
    if weights_too:
        weight = model.node("DequantizeLinear", model.weight("w", [16, 3, 3, 3], np.int8), scale, zero)
    else:
        weight = model.weight("w", [16, 3, 3, 3])
    out = model.node("Conv", data, weight)
    model.node("DequantizeLinear", model.node("QuantizeLinear", out, scale, zero), scale, zero)


def test_a_layer_between_quantisers_is_integer(model: Model) -> None:
    quantised(model, model.input("x", [1, 3, 8, 8]))
    counted = model.count()
    assert counted.total("macs") == {"int8": 16 * 6 * 6 * 27}
    assert counted.weight_bytes == 16 * 27
    assert counted.activation_bytes == 3 * 8 * 8 + 16 * 6 * 6
    assert estimate(counted, HOROWITZ_45NM).arithmetic_j == pytest.approx(16 * 6 * 6 * 27 * 0.3e-12)


def test_with_only_the_data_quantised_it_is_not(model: Model) -> None:
    quantised(model, model.input("x", [1, 3, 8, 8]), weights_too=False)
    assert model.count().total("macs") == {"float32": 16 * 6 * 6 * 27}


def test_integer_operators(model: Model) -> None:
    x = model.input("x", [5, 8], INT8)
    model.node("MatMulInteger", x, model.weight("w", [8, 4], np.int8))
    assert model.count().total("macs") == {"int8": 5 * 8 * 4}


def test_weights_in_another_file_need_not_be_there(model: Model) -> None:
    model.node("MatMul", model.input("x", [2, 64]), model.weight("w", [64, 64]))
    model.count()
    whole = onnx.load(model.path)
    onnx.save(whole, model.path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (model.path.parent / "weights.bin").unlink()
    counted = count(model.path)
    assert (counted.macs, counted.weight_bytes) == (2 * 64 * 64, 64 * 64 * 4)


def test_what_is_inside_a_branch_is_listed(model: Model) -> None:
    """Even where it is known which branch is taken, as what is inside sees the input all the same."""
    x = model.input("x", [2, 4])
    inside = [helper.make_node("Relu", [x], ["inner"])]
    branch = helper.make_graph(inside, "branch", [], [helper.make_tensor_value_info("inner", FLOAT, [2, 4])])
    model.node("If", model.constant("which", np.bool_(True)), then_branch=branch, else_branch=branch)
    assert model.count().uncounted["If"][0] == 1


def test_what_is_not_known_is_listed(model: Model) -> None:
    x = model.input("x", [2, 4])
    strange = model.node("Gelu", x, domain=MS)
    model.node("MatMul", strange, model.weight("w", [4, 4]))
    counted = model.count()
    assert counted.macs == 32
    assert list(counted.uncounted) == [f"{MS}.Gelu"]
    times, why = counted.uncounted[f"{MS}.Gelu"]
    assert times == 1
    assert "no rule" in why


def test_a_free_dimension_is_taken_as_1_and_said(model: Model) -> None:
    x = model.input("x", ["batch", "length", 4])
    model.node("MatMul", x, model.weight("w", [4, 4]))
    counted = model.count()
    assert counted.macs == 16
    assert counted.assumed == ("batch", "length")
    counted = model.count(x=(2, 5, 4))
    assert counted.macs == 2 * 5 * 16
    assert counted.assumed == ()
    assert counted.inputs == {"x": (2, 5, 4)}


def test_a_dimension_of_the_same_name_is_the_same(model: Model) -> None:
    x, y = model.input("x", ["n", 4]), model.input("y", ["n", 4])
    model.node("Add", x, y)
    counted = model.count(x=(6, 4))
    assert counted.inputs == {"x": (6, 4), "y": (6, 4)}
    with pytest.raises(ConfigurationError, match="'n' is 6 in one input and 7 in y"):
        model.count(x=(6, 4), y=(7, 4))


def test_shapes_that_only_a_run_tells(model: Model) -> None:
    x = model.input("x", [3, 4])
    rows = model.node("Cast", model.node("ReduceMax", x, keepdims=0), to=INT64)
    width = model.node("Unsqueeze", model.node("Add", rows, model.constant("five", np.int64(5))),
                       model.constant("axis", np.array([0])))  # fmt: skip
    grown = model.node("Expand", model.constant("zero", np.float32(0)), width)
    model.node("Mul", grown, grown)
    counted = model.count()
    assert counted.uncounted == {}
    assert counted.total("multiplies")["float32"] == 5


@pytest.mark.parametrize("shape", [(3, 8), (2, 4, 1)])
def test_a_shape_that_does_not_fit(model: Model, shape: tuple[int, ...]) -> None:
    model.node("Relu", model.input("x", ["n", 4]))
    with pytest.raises(ConfigurationError, match=r"expected x of shape \['n', 4\]"):
        model.count(x=shape)


def test_a_shape_that_the_model_contradicts(model: Model) -> None:
    model.node("MatMul", model.input("x", ["n", "k"]), model.weight("w", [4, 4]))
    counted = model.count(x=(2, 5))
    assert counted.macs == 0
    assert "a run with zeros fails" in counted.uncounted["MatMul"][1]


@pytest.mark.parametrize("content", [b"", b"no model", None])
def test_what_is_no_model(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"model\.onnx"):
        count(path)


def test_a_model_that_was_damaged_is_refused_or_counted(tmp_path: Path) -> None:
    """And nothing else: no other error, whatever the bytes."""
    good = resources.model("alerts_t2").read_bytes()
    random = np.random.default_rng(0)
    path = tmp_path / "model.onnx"
    for _ in range(100):
        damaged = np.frombuffer(good, np.uint8).copy()
        # Half of them in the graph, which comes first, half in what describes the weights and the values.
        ahead = random.random() < 0.5
        places = random.integers(0 if ahead else len(good) - 12_000, 6000 if ahead else len(good), 5)
        damaged[places] = random.integers(0, 256, 5)
        path.write_bytes(damaged.tobytes()[: random.choice([len(good), len(good), len(good) // 2])])
        with contextlib.suppress(ConfigurationError):
            assert estimate(count(path), HOROWITZ_45NM).arithmetic_j >= 0.0


def test_a_node_without_what_it_needs(model: Model) -> None:
    model.node("Conv", model.input("x", [1, 3, 8, 8]), output="y")
    assert "a run with zeros fails" in model.count().uncounted["Conv"][1]


def test_the_tables_are_the_published_ones() -> None:
    """Of float32, what papers call 4.6 pJ for a MAC and 0.9 pJ for an accumulate."""
    assert HOROWITZ_45NM.mac_pj["float32"] == pytest.approx(4.6)
    assert HOROWITZ_45NM.add_pj["float32"] == 0.9
    assert HOROWITZ_45NM.mac_pj["int8"] == pytest.approx(0.3)
    assert HOROWITZ_45NM.dram_pj is not None
    assert HOROWITZ_45NM.dram_pj * 4 == pytest.approx(650.0)
    assert JOUPPI_7NM.mac_pj["float32"] == pytest.approx(1.69)
    assert JOUPPI_7NM.mac_pj["bfloat16"] == pytest.approx(0.59)
    assert all("20" in costs.source for costs in TABLES.values())


def test_an_estimate_is_modelled_and_says_what_it_leaves_out(model: Model) -> None:
    x = model.input("x", [2, 4], HALF)
    model.node("Sigmoid", model.node("MatMul", x, model.weight("w", [4, 4], np.float16)))
    found = estimate(model.count(), JOUPPI_7NM)
    assert found.kind is Kind.MODELLED
    assert (found.arithmetic_j, found.sram_j, found.dram_j) == (0.0, None, None)
    assert found.unpriced == {"macs of float16": 32, "other functions of float16": 8}


def test_bytes_cost_more_the_farther_away_they_are(model: Model) -> None:
    model.node("MatMul", model.input("x", [2, 4]), model.weight("w", [4, 4]))
    found = estimate(model.count(), HOROWITZ_45NM)
    assert found.arithmetic_j == pytest.approx(32 * 4.6e-12)
    assert found.sram_j == pytest.approx((64 + 32 + 32) * 12.5e-12)
    assert found.dram_j == pytest.approx((64 + 32 + 32) * 162.5e-12)


def two_layers(model: Model) -> Count:
    hidden = model.node("Relu", model.node("MatMul", model.input("x", [1, 8]), model.weight("w1", [8, 16])))
    model.node("MatMul", hidden, model.weight("w2", [16, 4]))
    return model.count()


def test_spikes(model: Model) -> None:
    found = spiking(two_layers(model), HOROWITZ_45NM, rate=0.25, steps=4)
    assert found.kind is Kind.MODELLED
    assert (found.macs, found.accumulates) == (8 * 16, 16 * 4)
    assert found.joules == pytest.approx(128 * 4.6e-12 + 64 * 0.9e-12)
    assert (found.dense_macs, found.dense_joules) == (192, pytest.approx(192 * 4.6e-12))


@pytest.mark.parametrize(("rate", "steps"), [(-0.1, 4), (1.1, 4), (math.nan, 4), (0.1, 0)])
def test_spikes_out_of_range(model: Model, rate: float, steps: int) -> None:
    with pytest.raises(ConfigurationError, match="spike rate from 0 to 1"):
        spiking(two_layers(model), HOROWITZ_45NM, rate, steps)


def test_every_shipped_model_is_counted_to_the_last_layer() -> None:
    for path in resources.path("models", "shapes.onnx").parent.glob("*.onnx"):
        counted = count(path)
        assert counted.macs > 0
        assert set(counted.uncounted) <= {"TopK"}, path.name


def test_the_quantised_detector_does_what_the_other_does() -> None:
    whole, integer = (count(resources.model(name)) for name in ("shapes", "shapes_int8"))
    assert whole.macs == integer.macs
    assert integer.total("macs")["int8"] > 0.98 * integer.macs
    assert integer.weight_bytes < 0.3 * whole.weight_bytes


@pytest.mark.torch
def test_the_detector_costs_what_another_counter_says() -> None:
    """PyTorch's own counter, on the network that `shapes` was exported from; which agrees with the paper."""
    from lowlat_nodes.train.yolov10.count import cost
    from lowlat_nodes.train.yolov10.scales import SCALES

    flops = round(cost(SCALES["n"], classes=8, height=320, width=320).gflops * 1e9)
    # That one leaves out products with a vector: 16 bins of 4 sides of 2100 places, where a box may end.
    assert count(resources.model("shapes")).macs == flops // 2 + 16 * 4 * 2100
