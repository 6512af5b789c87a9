# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A policy comes back from its file as it went in, and other files are refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from lowlat_nodes.stream.errors import ConfigurationError

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytestmark = pytest.mark.torch


def _export(name: str, path: Path, *, compact: bool = False, with_encoder: bool = True):  # type: ignore[no-untyped-def]
    from lowlat_nodes.train.export import export_policy
    from lowlat_nodes.train.flow import Encoder, FlowConfig, Head
    from lowlat_nodes.train.variants import VARIANTS

    torch.manual_seed(0)
    sizes = FlowConfig(horizon=8, steps=3, channels=6, keypoints=4, words=5, width=48, blocks=2)
    encoder, head = Encoder(sizes), Head(sizes).recondition(VARIANTS[name].conditions(sizes.horizon))
    with torch.no_grad():
        for value in (*encoder.parameters(), *head.parameters(), *head.buffers()):
            value.add_(0.1 * torch.rand_like(value))  # the exporter stores equal weights once
    export_policy(
        name,
        head,
        path,
        encoder=encoder if with_encoder else None,
        max_offset=10,
        action_dt_ns=20_000_000,
        compact=compact,
    )
    return encoder, head


@pytest.mark.parametrize("name", ["base", "vlash", "vlash_last_action", "delay", "prefix"])
@pytest.mark.parametrize("compact", [False, True])
def test_a_policy_comes_back(tmp_path: Path, name: str, compact: bool) -> None:
    from lowlat_nodes.train.loading import load_networks

    path = tmp_path / "policy.onnx"
    encoder, head = _export(name, path, compact=compact)
    policy = load_networks(path)
    assert policy.variant == name
    assert policy.compact == compact
    assert policy.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert policy.contract["joint_names"] == "shoulder,elbow,wrist"
    assert policy.head.config == head.config
    for made, expected in ((policy.encoder, encoder), (policy.head, head)):
        weights = made.state_dict()
        assert weights.keys() == expected.state_dict().keys()
        for key, value in expected.state_dict().items():
            assert weights[key].dtype == torch.float32
            assert torch.allclose(weights[key], value, rtol=1e-3 if compact else 0.0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("base", "base"),
        ("prefix", "prefix"),
        ("delay", "delay"),
        ("vlash", "vlash"),
        ("vlash_last_action", "vlash"),
    ],
)
def test_a_file_that_does_not_name_its_variant_shows_it_by_its_inputs(
    tmp_path: Path, name: str, expected: str
) -> None:
    from lowlat_nodes.train.loading import load_networks

    path = tmp_path / "policy.onnx"
    _export(name, path)
    _edit(path, lambda model: _forget(model, "variant"))
    assert load_networks(path).variant == expected


def _edit(path: Path, change) -> None:  # type: ignore[no-untyped-def]
    model = onnx.load(path)
    change(model)
    onnx.save(model, path)


def _forget(model, key: str) -> None:  # type: ignore[no-untyped-def]
    kept = [item for item in model.metadata_props if item.key != key]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)


def _call_it(model, name: str) -> None:  # type: ignore[no-untyped-def]
    _forget(model, "variant")
    model.metadata_props.add(key="variant", value=name)


def _rename(model, ending: str) -> None:  # type: ignore[no-untyped-def]
    for item in model.graph.initializer:
        if item.name.endswith(ending):
            for node in model.graph.node:
                node.input[:] = ["other" if name == item.name else name for name in node.input]
            item.name = "other"
            return


def _claim(model) -> None:  # type: ignore[no-untyped-def]
    for item in model.graph.initializer:
        if item.name.endswith("out.weight"):
            item.dims[0] = 1 << 40


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: _call_it(model, "delay"), "got one called 'delay' with 0 further inputs"),
        (lambda model: _call_it(model, "other"), "got one called 'other'"),
        (lambda model: _rename(model, "action_scale"), "expected the weights of a policy"),
        (lambda model: _rename(model, "fall.bias"), "expected the weights of a policy"),
        (_claim, "is not a model that ONNX Runtime can load"),
    ],
)
def test_what_is_no_such_policy_is_refused(tmp_path: Path, change, message: str) -> None:  # type: ignore[no-untyped-def]
    from lowlat_nodes.train.loading import load_networks

    path = tmp_path / "policy.onnx"
    _export("base", path)
    _edit(path, change)
    with pytest.raises(ConfigurationError, match=message):
        load_networks(path)


def test_files_without_a_policy_or_its_encoder_are_refused(tmp_path: Path) -> None:
    from lowlat_nodes.train.loading import load_networks

    path = tmp_path / "policy.onnx"
    with pytest.raises(ConfigurationError, match="expected an ONNX file, found nothing"):
        load_networks(path)
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(ConfigurationError, match="is not a model that ONNX Runtime can load"):
        load_networks(path)
    _export("base", path, with_encoder=False)
    with pytest.raises(ConfigurationError, match="encoder included"):
        load_networks(path)
