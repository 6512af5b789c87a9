# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Each rung does to the weights what its name says, and keeps the network as good as training allows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.inference.onnx import OnnxModel

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytestmark = pytest.mark.torch

LAYERS = 8


def examples(count: int):
    """Three classes of light curves: one rises, one falls, one does neither."""
    from lowlat_nodes.train.t2.examples import Examples

    random = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 3
    slope = torch.tensor([1.0, -1.0, 0.0])[labels][:, None, None] * torch.linspace(-1.0, 1.0, 100)[:, None]
    flux = 5e4 * slope + 5e3 * torch.randn(count, 100, 2, generator=random)
    return Examples((flux, torch.full_like(flux, 5e3), torch.full((count,), 30.0)), labels)


@pytest.fixture(scope="module")
def trained():
    from lowlat_nodes.train.t2.fit import FitConfig, fit, logits
    from lowlat_nodes.train.t2.model import ScaledT2
    from lowlat_nodes.train.yolov10.fit import Budget

    torch.manual_seed(0)
    net, steps = ScaledT2(), iter(range(41))
    fitted = fit(net, examples(60), FitConfig(batch=12), Budget(40.0, lambda: float(next(steps))))
    assert fitted.steps == 39
    assert (logits(net, examples(60)).argmax(1) == examples(60).labels).float().mean() > 0.9
    return net


def matrices(net: torch.nn.Module) -> list[torch.Tensor]:
    return [layer.weight for layer in net.modules() if isinstance(layer, torch.nn.Linear)]


@pytest.mark.parametrize(
    "name", ["fp32", "last_clustered", "all_clustered", "all_clustered_pruned", "pruned"]
)
def test_rungs_do_to_the_weights_what_they_say(trained, name: str) -> None:
    from lowlat_nodes.train.t2.ladder import LADDER, compress

    before = {key: value.clone() for key, value in trained.state_dict().items()}
    made = compress(trained, LADDER[name], examples(60), 0.5)
    assert len(matrices(made)) == LAYERS
    few = [len(weight.unique()) <= 16 for weight in matrices(made)]
    empty = [float((weight == 0.0).float().mean()) for weight in matrices(made)]
    assert sum(few) == {"none": 0, "last": 1, "all": LAYERS}[LADDER[name].clustered]
    assert few[-1] == (LADDER[name].clustered != "none")
    if LADDER[name].pruned:
        assert min(empty) >= 0.49
    assert made.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in trained.state_dict().items())
    changed = any(not torch.equal(value, before[key]) for key, value in made.state_dict().items())
    assert changed == LADDER[name].trained_on


def test_clusters_and_their_members_are_trained() -> None:
    from lowlat_nodes.train.t2.cluster import cluster

    torch.manual_seed(0)
    layer = torch.nn.Linear(20, 30)
    weight = layer.weight.detach().clone()
    cluster(layer, 4)
    assert len(layer.weight.unique()) <= 4
    step = (weight.max() - weight.min()) / 3
    assert (layer.weight - weight).abs().max() <= step / 2 + 1e-6
    layer(torch.ones(1, 20)).sum().backward()
    values = layer.parametrizations.weight[0].values
    assert values.grad.sum() == pytest.approx(600.0)
    assert torch.all(layer.parametrizations.weight.original.grad == 1.0)


def test_integers_change_probabilities_little_and_make_the_file_smaller(trained, tmp_path: Path) -> None:
    from lowlat_nodes.train.t2.graph import write_onnx
    from lowlat_nodes.train.t2.ladder import quantise
    from lowlat_nodes.train.t2.model import OURS

    full, integers = tmp_path / "full.onnx", tmp_path / "int8.onnx"
    write_onnx(trained.network.state_dict(), full, OURS)
    quantise(full, integers)
    some = examples(30)
    feed = {name: values.numpy() for name, values in zip(trained.inputs, some.inputs, strict=True)}
    found = [OnnxModel(path).run(feed, ["probabilities"])[0] for path in (full, integers)]
    assert np.abs(found[0] - found[1]).max() < 0.05
    assert integers.stat().st_size < 0.7 * full.stat().st_size
    assert OnnxModel(integers).metadata.items() >= OnnxModel(full).metadata.items()


@pytest.mark.parametrize("name", ["fp32", "all_clustered", "last_clustered_int8"])
def test_packed_weights_come_back(trained, name: str) -> None:
    from lowlat_nodes.train.t2.ladder import LADDER, compress
    from lowlat_nodes.train.t2.packed import pack, unpack, write_safetensors

    rung = LADDER[name]
    weights = compress(trained, rung, examples(60), 0.2).network.state_dict()
    content = write_safetensors(pack(weights, int8=rung.int8))
    again = unpack(content)
    assert again.keys() == weights.keys()
    for key, weight in weights.items():
        allowed = float(weight.abs().max()) / 254.0 + 1e-7 if rung.int8 and weight.ndim > 1 else 0.0
        assert (again[key] - weight).abs().max() <= allowed
    most = {"fp32": 56_000, "all_clustered": 13_000, "last_clustered_int8": 20_000}
    assert len(content) < most[name]
