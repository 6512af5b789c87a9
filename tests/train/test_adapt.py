# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A small policy is adapted to a robot whose joints have other zeros."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.control.policies.exported import ExportedPolicy
from lowlat_nodes.inference.onnx import OnnxModel
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra
from lowlat_nodes.train import adapt
from lowlat_nodes.transport.dataset import DatasetReader

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytestmark = [pytest.mark.torch, pytest.mark.dataset]
SHIFT = (0.3, -0.25, 0.35)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, record_robot: Callable[..., Path]) -> Path:
    """A policy that has learned to go to the goal of a robot whose zeros are right."""
    from lowlat_nodes.train.adaptation import held_out_error
    from lowlat_nodes.train.export import export_policy
    from lowlat_nodes.train.fit import FitConfig, fit
    from lowlat_nodes.train.flow import Encoder, FlowConfig, Head
    from lowlat_nodes.train.recorded import Recording
    from lowlat_nodes.train.requirements import Requirements
    from lowlat_nodes.train.variants import VARIANTS, flow_loss

    folder = tmp_path_factory.mktemp("base")
    required = Requirements(("shoulder", "elbow", "wrist"), 20_000_000, 8, 4, 160, 120)
    recording = Recording.read(DatasetReader(record_robot(folder / "data", episodes=20)), required, "front")
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    config = FlowConfig(horizon=8, channels=4, keypoints=4, words=4, width=48, blocks=2)
    encoder, head = Encoder(config), Head(config)
    rows = np.arange(len(recording.states))
    every = recording.at(rows, np.zeros_like(rows))
    position, velocity = every.state.chunk(2, dim=-1)
    head.position_mean.copy_(position.mean(0))
    head.position_scale.copy_(position.std(0))
    head.velocity_scale.copy_(velocity.std(0))
    head.action_scale.copy_((every.targets - position[:, None]).square().mean(0).sqrt())
    with torch.no_grad():
        image = torch.from_numpy(recording.images[:1]).float().permute(0, 3, 1, 2)
        seen = encoder(image, torch.from_numpy(recording.tokens[:1])).expand(128, -1)
        for norm in (block.norm for block in head.blocks):
            norm.weight.add_(0.01 * torch.rand_like(norm.weight))  # the exporter stores equal weights once

    def loss():  # type: ignore[no-untyped-def]
        picks = rows[random.integers(len(rows), size=128)]
        return flow_loss(head, VARIANTS["base"].draw(recording, picks, random), seen)

    fit(head, loss, FitConfig(500, learning_rate=5e-3, exact_share=1.0), name="base", say=lambda _: None)
    assert held_out_error(encoder, head, recording, rows) < 0.05
    export_policy("base", head, folder / "base.onnx", encoder=encoder, max_offset=4, action_dt_ns=20_000_000)
    return folder / "base.onnx"


@pytest.fixture(scope="module")
def shifted(tmp_path_factory: pytest.TempPathFactory, record_robot: Callable[..., Path]) -> Path:
    return record_robot(tmp_path_factory.mktemp("shifted") / "data", shift=SHIFT, episodes=12)


@pytest.fixture(scope="module")
def adapted(
    tmp_path_factory: pytest.TempPathFactory, base: Path, shifted: Path
) -> tuple[Path, dict[str, object]]:
    out = tmp_path_factory.mktemp("adapted") / "mine.onnx"
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda *words, **_: lines.append(" ".join(map(str, words))))
        settings = "--rank 4 --steps 300 --batch 128 --learning-rate 0.005 --json"
        code = adapt.main([str(base), str(shifted), "-o", str(out), *settings.split()])
    assert code == 0
    return out, json.loads(lines[-1])


@pytest.mark.finetune
def test_the_error_on_episodes_held_out_falls(adapted: tuple[Path, dict[str, object]]) -> None:
    _, report = adapted
    assert report["before_rad"] > 0.05
    assert report["after_rad"] < report["before_rad"] / 3
    assert (report["episodes_trained"], report["episodes_held_out"]) == (11, 1)
    assert report["trained"] < report["frozen"] / 4


@pytest.mark.finetune
def test_the_file_is_a_policy_like_the_base(base: Path, adapted: tuple[Path, dict[str, object]]) -> None:
    from lowlat_nodes.train.guidance import vjp_error

    before, after = OnnxModel(base), OnnxModel(adapted[0])
    assert after.inputs == before.inputs
    digest = hashlib.sha256(base.read_bytes()).hexdigest()
    assert after.metadata == {**before.metadata, "adapted_from": digest, "adapter": "lora"}
    assert ExportedPolicy(adapted[0]).spec == ExportedPolicy(base).spec
    assert vjp_error(adapted[0], samples=2) < 1e-5


@pytest.mark.finetune
def test_the_file_does_what_torch_does(adapted: tuple[Path, dict[str, object]]) -> None:
    from lowlat_nodes.train.flow import shrink
    from lowlat_nodes.train.loading import load_networks

    assert adapted[1]["rounding_rad"] < 1e-4
    policy, random = load_networks(adapted[0]), np.random.default_rng(0)
    feed = {
        "image": random.integers(0, 256, (4, 120, 160, 3), dtype=np.uint8),
        "tokens": random.integers(1, 99, (4, 12)),
        "state": random.normal(size=(4, 6)).astype(np.float32),
        "noise": random.standard_normal((4, 8, 3), np.float32),
        "decided": np.zeros((4, 8, 3), np.float32),
        "weights": np.zeros((4, 8), np.float32),
        "jacobian": np.zeros((4, 1), np.float32),
    }
    image, tokens, state, noise = (torch.from_numpy(feed[name]) for name in list(feed)[:4])
    with torch.no_grad():
        expected = policy.head.sample(noise, policy.encoder(shrink(image), tokens), state).numpy()
    assert OnnxModel(adapted[0]).run(feed, ["actions"])[0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.finetune
def test_the_card_says_how_it_was_made(base: Path, adapted: tuple[Path, dict[str, object]]) -> None:
    out, report = adapted
    card = Path(str(report["card"])).read_text(encoding="utf-8")
    for path in (base, out):
        assert hashlib.sha256(path.read_bytes()).hexdigest() in card
    for text in (
        "lora of rank 4",
        "in the head;",
        "300 of 128 samples",
        "360 frames",
        "lab arm",
        "'go there'",
        "peft ",
    ):
        assert text in card
    assert f"held-out error after | {report['after_rad']:.4f} rad" in card


@pytest.mark.finetune
@pytest.mark.parametrize("kind", ["lora", "dora", "loha", "lokr", "ia3"])
@pytest.mark.parametrize("encoder", [False, True])
def test_only_adapters_change_until_they_are_merged(base: Path, kind: str, encoder: bool) -> None:
    from lowlat_nodes.train.adapters import AdaptedPolicy, AdapterConfig
    from lowlat_nodes.train.loading import load_networks

    policy = load_networks(base)
    names = [list(net.state_dict()) for net in (policy.encoder, policy.head)]
    before = [value.clone() for net in (policy.encoder, policy.head) for value in net.state_dict().values()]
    adapted = AdaptedPolicy(policy.encoder, policy.head, AdapterConfig(kind, 4, encoder))
    kept = {name: value.clone() for name, value in adapted.net.named_parameters() if not value.requires_grad}
    random = torch.Generator().manual_seed(0)
    image = 255.0 * torch.rand(2, 3, 60, 80, generator=random)
    state, noise = torch.randn(2, 6, generator=random), torch.randn(2, 8, 3, generator=random)

    def chunk():  # type: ignore[no-untyped-def]
        seen = policy.encoder(image, torch.ones(2, 12, dtype=torch.int64))
        return policy.head.sample(noise, seen, state)

    optimiser = torch.optim.AdamW(adapted.net.parameters(), lr=0.01)
    for _ in range(3):
        optimiser.zero_grad()
        chunk().square().mean().backward()
        optimiser.step()
    weights = dict(adapted.net.named_parameters())
    assert all(torch.equal(weights[name], value) for name, value in kept.items())
    assert 0 < adapted.trained < sum(value.numel() for value in kept.values())
    with torch.no_grad():
        expected = chunk()
        adapted.merge()
        assert torch.allclose(chunk(), expected, atol=1e-5)
    assert [list(net.state_dict()) for net in (policy.encoder, policy.head)] == names
    after = [value for net in (policy.encoder, policy.head) for value in net.state_dict().values()]
    changed = [not torch.equal(*pair) for pair in zip(before, after, strict=True)]
    assert any(changed[len(names[0]) :])
    assert any(changed[: len(names[0])]) == encoder


@pytest.mark.finetune
def test_more_than_one_episode_is_needed(base: Path, tmp_path: Path, record_robot) -> None:  # type: ignore[no-untyped-def]
    folder = record_robot(tmp_path / "data", episodes=1)
    with pytest.raises(ConfigurationError, match=r"expected at least 2 episodes, .* got 1"):
        adapt.main([str(base), str(folder), "-o", str(tmp_path / "out.onnx")])
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.finetune
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kind", "lara"], "expected an adapter of lora, dora, loha, lokr, ia3, got 'lara'"),
        (["--rank", "0"], "expected a rank of 1 or more"),
        (["--steps", "0"], "expected steps and batch of 1 or more"),
        (["--held-out", "1"], "between 0 and 1"),
    ],
)
def test_settings_out_of_range_are_refused(tmp_path: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        adapt.main(["base.onnx", "data", "-o", str(tmp_path / "out.onnx"), *arguments])


def test_without_peft_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtra, match=r"lowlat_nodes\[finetune\]"):
        adapt.main(["base.onnx", "data", "-o", str(tmp_path / "out.onnx")])


@pytest.mark.finetune
def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out.md").touch()
    with pytest.raises(ConfigurationError, match=r"out\.md: exists already"):
        adapt.main(["base.onnx", "data", "-o", str(tmp_path / "out.onnx")])
    with pytest.raises(ConfigurationError, match=r"expected the name of an \.onnx file"):
        adapt.main(["base.onnx", "data", "-o", str(tmp_path / "out")])
