# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lowlat_nodes.stream.errors import ConfigurationError

if TYPE_CHECKING:
    from torch import Tensor

    from lowlat_nodes.train.yolov10.model import YoloV10

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

Weights = Callable[..., "dict[str, Tensor]"]
DTYPES = {torch.float32: "F32", torch.float16: "F16", torch.int64: "I64"}


def load(path: Path, scale: str = "n") -> YoloV10:
    from lowlat_nodes.train.yolov10.checkpoint import load_checkpoint
    from lowlat_nodes.train.yolov10.scales import SCALES

    return load_checkpoint(path, SCALES[scale])


def save_torch(weights: object, path: Path) -> Path:
    torch.save(weights, path)
    return path


def safetensors(weights: Mapping[str, Tensor]) -> tuple[dict, bytes]:
    header, numbers = {"__metadata__": {"format": "pt"}}, b""
    for name, value in weights.items():
        start, numbers = len(numbers), numbers + value.contiguous().numpy().tobytes()
        offsets = [start, len(numbers)]
        header[name] = {"dtype": DTYPES[value.dtype], "shape": list(value.shape), "data_offsets": offsets}
    return header, numbers


def save_safetensors(header: object, numbers: bytes, path: Path) -> Path:
    encoded = json.dumps(header).encode()
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + numbers)
    return path


@pytest.mark.parametrize(("scale", "classes"), [("n", 80), ("s", 3), ("n", 120)])
def test_a_published_state_dict_loads(scale: str, classes: int, published: Weights, tmp_path: Path) -> None:
    weights = published(scale, classes)
    model = load(save_torch(weights, tmp_path / "best.pt"), scale)
    assert model.classes == classes
    assert not model.training
    assert torch.equal(model.backbone.stem.conv.weight, weights["model.0.conv.weight"])
    assert torch.equal(
        model.backbone.attention.attention.place.norm.bias, weights["model.10.attn.pe.bn.bias"]
    )
    large = model.neck.bottom_up5.blocks[0].layers[2]
    assert torch.equal(large.narrow.conv.weight, weights["model.22.m.0.cv1.2.conv1.conv.weight"])
    assert torch.equal(model.head.one_to_one.scores[1][2].bias, weights["model.23.one2one_cv3.1.2.bias"])
    assert torch.equal(
        model.head.one_to_many.distances[2][0].conv.weight, weights["model.23.cv2.2.0.conv.weight"]
    )


def test_safetensors_load_with_the_prefix_of_a_wrapper_and_half_the_bits(
    published: Weights, tmp_path: Path
) -> None:
    weights = published("n", 4)
    halves = {
        f"model.{name}": value.half() if value.is_floating_point() else value
        for name, value in weights.items()
    }
    model = load(save_safetensors(*safetensors(halves), tmp_path / "model.safetensors"))
    assert model.classes == 4
    expected = weights["model.8.cv2.conv.weight"].half().float()
    assert torch.equal(model.backbone.stage5.merge.conv.weight, expected)


def test_our_own_state_dict_loads(tmp_path: Path) -> None:
    from lowlat_nodes.train.yolov10.model import YoloV10
    from lowlat_nodes.train.yolov10.scales import SCALES

    made = YoloV10(SCALES["n"], 5)
    state = load(save_torch(made.state_dict(), tmp_path / "own.pt")).state_dict()
    assert all(torch.equal(value, state[name]) for name, value in made.state_dict().items())


def test_the_counters_of_normalisations_may_be_missing(published: Weights, tmp_path: Path) -> None:
    weights = {name: value for name, value in published("n", 2).items() if "num_batches" not in name}
    assert load(save_torch(weights, tmp_path / "best.pt")).classes == 2


def refused(path: Path, message: str, scale: str = "n") -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        load(path, scale)
    assert str(path) in str(caught.value)


def test_a_missing_weight_is_named(published: Weights, tmp_path: Path) -> None:
    weights = published("n", 2)
    del weights["model.23.cv3.0.2.bias"]
    path = save_torch(weights, tmp_path / "best.pt")
    refused(path, r"594 weights .* YOLOv10-N, missing: 'model\.23\.cv3\.0\.2\.bias', unknown: none")


def test_an_unknown_weight_is_named(published: Weights, tmp_path: Path) -> None:
    weights = published("n", 2) | {f"model.24.{i}": torch.zeros(1) for i in range(5)}
    path = save_torch(weights, tmp_path / "best.pt")
    refused(path, r"missing: none, unknown: 'model\.24\.0', 'model\.24\.1', 'model\.24\.2' and 2 more")


def test_a_wrong_shape_is_named_with_both(published: Weights, tmp_path: Path) -> None:
    weights = published("n", 2) | {"model.0.conv.weight": torch.zeros(16, 4, 3, 3)}
    path = save_torch(weights, tmp_path / "best.pt")
    refused(
        path, r"'model\.0\.conv\.weight': expected shape \[16, 3, 3, 3\] of YOLOv10-N, got \[16, 4, 3, 3\]"
    )


def test_weights_of_another_scale_are_refused(published: Weights, tmp_path: Path) -> None:
    refused(save_torch(published("n", 2), tmp_path / "n.pt"), r"619|618.*is it of another scale", "s")


def test_weights_that_are_no_numbers_are_refused(published: Weights, tmp_path: Path) -> None:
    weights = published("n", 2)
    name = "model.0.bn.running_var"
    weights[name] = weights[name].clone().index_fill(0, torch.tensor(3), float("nan"))
    refused(save_torch(weights, tmp_path / "best.pt"), r"running_var': expected finite numbers, got NaN")


@pytest.mark.parametrize("bins", [None, torch.ones(1, 16, 1, 1), torch.arange(8.0)])
def test_other_bins_are_refused(bins: Tensor | None, published: Weights, tmp_path: Path) -> None:
    weights = published("n", 2)
    del weights["model.23.dfl.conv.weight"]
    if bins is not None:
        weights["model.23.dfl.conv.weight"] = bins
    refused(save_torch(weights, tmp_path / "best.pt"), "expected the numbers 0 to 15")


def test_a_pickled_program_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = save_torch({"model": torch.nn.Linear(2, 2)}, tmp_path / "best.pt")
    with pytest.raises(ConfigurationError, match="pickled program") as caught:
        load(path)
    command = re.search(r'python -c "(.+)"', str(caught.value))
    assert command is not None
    assert "m.state_dict(), 'weights.pt'" in command[1]
    compile(command[1], "command", "exec")


@pytest.mark.parametrize("content", [{"model": {"a": torch.zeros(1)}}, {3: torch.zeros(1)}, [torch.zeros(1)]])
def test_other_contents_of_a_state_dict_are_refused(content: object, tmp_path: Path) -> None:
    refused(save_torch(content, tmp_path / "best.pt"), "expected a dict of tensors by name, got a")


def test_a_file_without_weights_is_refused(tmp_path: Path) -> None:
    refused(save_torch({}, tmp_path / "best.pt"), "missing: 'backbone.stem.conv.weight'")


@pytest.mark.parametrize("keep", [0, 4, 8, 100, 40_000, -1])
def test_truncated_safetensors_are_refused(keep: int, published: Weights, tmp_path: Path) -> None:
    path = save_safetensors(*safetensors(published("n", 2)), tmp_path / "model.safetensors")
    path.write_bytes(path.read_bytes()[:keep])
    refused(path, "expected")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ([], "JSON object"),
        ({"a": 3}, "expected dtype"),
        ({"a": {"dtype": "F8", "shape": [1], "data_offsets": [0, 4]}}, "expected dtype"),
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}, "expected dtype"),
        ({"a": {"dtype": "F32", "shape": ["x"], "data_offsets": [0, 4]}}, "expected dtype"),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, r"8 bytes for shape \[2\]"),
        ({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]}}, "bytes for shape"),
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}, "data_offsets -4 to 0"),
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, "4 to 8 of 4"),
        ({"a": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}, "bytes for shape"),
    ],
)
def test_a_wrong_safetensors_header_is_refused(header: object, message: str, tmp_path: Path) -> None:
    refused(save_safetensors(header, bytes(4), tmp_path / "model.safetensors"), message)


def test_a_header_that_is_no_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for encoded in (b"\xff\xfe", b"[" * 100_000):
        path.write_bytes(len(encoded).to_bytes(8, "little") + encoded)
        refused(path, "expected a JSON object as safetensors header")


def test_a_truncated_state_dict_is_refused(published: Weights, tmp_path: Path) -> None:
    path = save_torch(published("n", 2), tmp_path / "best.pt")
    path.write_bytes(path.read_bytes()[:5_000_000])
    refused(path, "expected")


def test_another_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", b"nonsense")
    refused(path, "expected a state dict of torch")


def test_a_file_that_holds_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lowlat_nodes.train.yolov10.weights._BYTES_LIMIT", 1 << 20)
    archive, plain = tmp_path / "best.pt", tmp_path / "model.safetensors"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("best/data/0", bytes(1 << 21))
    assert archive.stat().st_size < 1 << 20
    plain.write_bytes(bytes(1 << 21))
    refused(archive, "expected at most 1048576 bytes of weights, got 2097152")
    refused(plain, "expected at most 1048576 bytes of weights, got 2097152")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.pt", "found none")
    refused(tmp_path, "found none")
