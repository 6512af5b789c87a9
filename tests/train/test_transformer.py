# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lowlat_nodes.stream.errors import ConfigurationError

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("one_torch_thread")]

if TYPE_CHECKING:
    from lowlat_nodes.train.transformer import TransformerPolicy

SMALL: dict[str, Any] = {"image_size_px": (12, 16), "width": 24, "expert_width": 10, "heads": 3, "depth": 3}
SIZES = [SMALL, SMALL | {"joints": 7, "horizon": 1}, SMALL | {"horizon": 13, "depth": 1, "patch_px": 2}]


def _policy(sizes: dict[str, Any]) -> TransformerPolicy:
    """A network all of whose parts matter: at the start of training the expert's gates are closed."""
    from lowlat_nodes.train.transformer import TransformerConfig, TransformerPolicy

    net = TransformerPolicy(TransformerConfig(**sizes))
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    net.position_mean.normal_()
    for scale in (net.position_scale, net.velocity_scale, net.action_scale):
        scale.uniform_(0.5, 2.0)
    return net


def _samples(net: TransformerPolicy, batch: int, branches: int) -> list[Any]:
    """Image, tokens, states, targets, noise and flow times."""
    config = net.config
    chunk = (batch, branches, config.horizon, config.joints)
    return [
        torch.rand(batch, 3, *config.image_size_px) * 255.0,
        torch.randint(0, 100, (batch, 12)),
        torch.randn(batch, branches, 2 * config.joints),
        torch.randn(chunk),
        torch.randn(chunk),
        torch.rand(batch, branches),
    ]


def _alone(samples: list[Any], branch: int) -> list[Any]:
    return [*samples[:2], *(sample[:, branch : branch + 1] for sample in samples[2:])]


def _gradients(net: TransformerPolicy, loss: Any) -> dict[str, Any]:
    net.zero_grad()
    loss.backward()
    return {name: p.grad for name, p in net.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize(("batch", "branches"), [(1, 5), (2, 3), (3, 1)])
def test_the_packed_loss_is_the_mean_of_the_separate_ones(
    sizes: dict[str, Any], batch: int, branches: int
) -> None:
    net = _policy(sizes)
    samples = _samples(net, batch, branches)
    packed = net.loss(*samples)
    separate = torch.stack([net.loss(*_alone(samples, branch)) for branch in range(branches)]).mean()
    assert packed.item() == pytest.approx(separate.item(), rel=1e-5)
    ours, theirs = _gradients(net, packed), _gradients(net, separate)
    assert ours.keys() == theirs.keys()
    for name, gradient in ours.items():
        assert torch.allclose(gradient, theirs[name], rtol=1e-4, atol=1e-5), name


def test_in_double_precision_nothing_but_rounding_differs() -> None:
    net = _policy(SMALL).double()
    samples = [sample if sample.dtype == torch.int64 else sample.double() for sample in _samples(net, 2, 5)]
    packed = net.loss(*samples)
    separate = torch.stack([net.loss(*_alone(samples, branch)) for branch in range(5)]).mean()
    assert packed.item() == pytest.approx(separate.item(), rel=1e-12)
    ours, theirs = _gradients(net, packed), _gradients(net, separate)
    assert all(torch.allclose(ours[name], theirs[name], rtol=1e-9, atol=1e-12) for name in ours)


def test_every_part_that_is_read_gets_a_gradient() -> None:
    net = _policy(SMALL)
    gradients = _gradients(net, net.loss(*_samples(net, 1, 2)))
    without = {name for name, _ in net.named_parameters()} - gradients.keys()
    unread = {"merge.weight", "rise.weight", "rise.bias", "fall.weight", "fall.bias"}
    assert without == {f"observe.2.{name}" for name in unread}
    assert all(gradient.any() for gradient in gradients.values())


def test_no_branch_sees_another() -> None:
    net = _policy(SMALL)
    image, tokens, states, _, noise, time = _samples(net, 2, 4)
    memory = net.perceive(image, tokens)
    before = net.denoise(noise, time, memory, states)
    states[:, 2], noise[:, 2], time[:, 2] = 50.0, -50.0, 1.0
    after = net.denoise(noise, time, memory, states)
    others = [0, 1, 3]
    assert torch.equal(before[:, others], after[:, others])
    assert (before[:, 2] != after[:, 2]).all()


def test_each_branch_has_a_state_a_flow_time_and_noise_of_its_own() -> None:
    net = _policy(SMALL)
    image, tokens, states, _, noise, time = _samples(net, 1, 1)
    memory = net.perceive(image, tokens)

    def pair(states: Any, noise: Any, time: Any) -> tuple[Any, Any]:
        return net.denoise(noise, time, memory, states).unbind(1)

    twice = [torch.cat([sample, sample], dim=1) for sample in (states, noise, time)]
    one, other = pair(*twice)
    assert torch.allclose(one, other, atol=1e-5)
    for i in range(3):
        changed = [sample.clone() for sample in twice]
        changed[i][:, 1] += 0.3
        one, other = pair(*changed)
        assert not torch.allclose(one, other, atol=1e-3)


def test_the_observation_matters_to_all_branches() -> None:
    net = _policy(SMALL)
    image, tokens, states, _, noise, time = _samples(net, 1, 3)
    before = net.denoise(noise, time, net.perceive(image, tokens), states)
    for seen in ((255.0 - image, tokens), (image, tokens + 1)):
        after = net.denoise(noise, time, net.perceive(*seen), states)
        assert ((before - after).abs().amax((2, 3)) > 1e-4).all()


def test_a_chunk_has_the_form_of_the_other_policy() -> None:
    from lowlat_nodes.train.transformer import TransformerPolicy

    net = TransformerPolicy().eval()
    image = torch.randint(0, 256, (2, 120, 160, 3), dtype=torch.uint8)
    state, tokens = torch.randn(2, 6), torch.zeros(2, 12, dtype=torch.int64)
    with torch.no_grad():
        net.out.weight.zero_()
        net.out.bias.zero_()
        actions = net(image, state, tokens, torch.randn(2, 32, 3))
    assert torch.allclose(actions, state[:, None, :3].expand(-1, 32, -1), atol=1e-6)


def test_it_runs_as_onnx(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    net = _policy(SMALL | {"steps": 2, "depth": 2}).eval()
    names = ["image", "state", "tokens", "noise"]

    def feed(batch: int) -> dict[str, Any]:
        image = torch.randint(0, 256, (batch, 24, 32, 3), dtype=torch.uint8)
        _, tokens, states, noise, *_ = _samples(net, batch, 1)
        return dict(zip(names, (image, states[:, 0], tokens, noise[:, 0]), strict=True))

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            tuple(feed(1).values()),
            str(tmp_path / "net.onnx"),
            input_names=names,
            output_names=["actions"],
            dynamic_axes={name: {0: "batch"} for name in (*names, "actions")},
            opset_version=17,
            dynamo=False,
        )
        session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
        for batch in (1, 3):
            given = feed(batch)
            (actions,) = session.run(None, {name: part.numpy() for name, part in given.items()})
            assert torch.allclose(torch.from_numpy(actions), net(**given), rtol=1e-4, atol=1e-4)


def test_training_reduces_the_loss() -> None:
    from lowlat_nodes.train.transformer import TransformerConfig, TransformerPolicy

    net = TransformerPolicy(TransformerConfig(**SMALL, horizon=4))
    optimiser = torch.optim.Adam(net.parameters(), lr=5e-3)
    image, tokens, states, targets, *_ = _samples(net, 2, 3)
    losses = []
    for _ in range(60):
        loss = net.loss(image, tokens, states, targets, torch.randn_like(targets), torch.rand(2, 3))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"image_size_px": (60, 81)}, "81. px are not whole patches of 4 px"),
        ({"width": 100, "heads": 3}, "width 100 .* 3 heads"),
        ({"expert_width": 65}, "even expert_width, got 65"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes: dict[str, Any], message: str) -> None:
    from lowlat_nodes.train.transformer import TransformerConfig

    with pytest.raises(ConfigurationError, match=message):
        TransformerConfig(**sizes)
