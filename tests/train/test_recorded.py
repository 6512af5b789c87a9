# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Samples from a dataset, and datasets that do not fit the policy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.dataset import DatasetReader

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.torch, pytest.mark.dataset]
FRAMES = 30


def _required(**changes: Any):  # type: ignore[no-untyped-def]
    from lowlat_nodes.train.requirements import Requirements

    sizes = {"horizon": 8, "max_offset": 4, "width_px": 160, "height_px": 120}
    given = {"joints": ("shoulder", "elbow", "wrist"), "period_ns": 20_000_000, **sizes, **changes}
    return Requirements(**given)


def _read(folder: Path, *, rename: bool = False, camera: str = "", **changes: Any):  # type: ignore[no-untyped-def]
    from lowlat_nodes.train.recorded import Recording

    reader, required = DatasetReader(folder), _required(**changes)
    required.check(reader.layout, rename=rename)
    return Recording.read(reader, required, required.camera(reader.layout, camera))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory, record_robot: Callable[..., Path]):  # type: ignore[no-untyped-def]
    return _read(record_robot(tmp_path_factory.mktemp("recorded") / "data", episodes=3, frames=FRAMES))


def test_all_frames_are_there(recording: Any) -> None:
    assert recording.images.shape == (3 * FRAMES, 60, 80, 3)
    assert recording.states.shape == (3 * FRAMES, 6)
    assert recording.actions.shape == (3 * FRAMES, 3)
    assert recording.ends.tolist() == [30, 60, 90]
    assert recording.frames(np.array([0, 2])).tolist() == [*range(30), *range(60, 90)]
    assert (recording.tokens == recording.tokens[0]).all()
    assert recording.tokens[0, 0] > 0


def test_a_chunk_is_what_was_sent_next(recording: Any) -> None:
    sample = recording.at(np.array([5, 35]), np.array([0, 3]))
    assert np.array_equal(sample.state, recording.states[[5, 38]])
    assert np.array_equal(sample.targets[0], recording.actions[5:13])
    assert np.array_equal(sample.targets[1], recording.actions[38:46])
    assert not sample.padded.any()


def test_a_chunk_ends_with_its_episode(recording: Any) -> None:
    sample = recording.at(np.array([27, 29]), np.array([0, 4]))
    assert sample.padded.tolist() == [[False] * 3 + [True] * 5, [False] + [True] * 7]
    assert np.array_equal(sample.targets[0, :3], recording.actions[27:30])
    assert (sample.targets[0, 2:] == sample.targets[0, 2]).all()
    assert np.array_equal(sample.state[1], recording.states[29])  # not that of the next episode


def test_the_last_action_is_that_before(recording: Any) -> None:
    made = recording.last_action(np.array([10, 30]), np.array([2, 0])).numpy()
    assert np.array_equal(made[0, :3], recording.actions[11])
    assert made[0, 3:] == pytest.approx((recording.actions[11] - recording.actions[10]) / 0.02, abs=1e-4)
    assert np.array_equal(made[1], [*recording.actions[30], 0, 0, 0])


@pytest.mark.parametrize("name", ["base", "vlash", "vlash_last_action", "delay", "prefix"])
def test_every_variant_draws_and_learns_only_what_is_known(recording: Any, name: str) -> None:
    from lowlat_nodes.train.flow import FlowConfig, Head
    from lowlat_nodes.train.variants import VARIANTS, flow_loss

    rows = np.arange(3 * FRAMES)
    sample = VARIANTS[name].draw(recording, rows, np.random.default_rng(0))
    conditions = VARIANTS[name].conditions(8)
    head = Head(FlowConfig(horizon=8, width=16, blocks=1, conditions=conditions))
    assert (sample.conditions is None) == (conditions == 0)
    assert sample.padded.any()
    features = torch.zeros(len(rows), head.config.features)

    def loss() -> float:
        torch.manual_seed(0)
        with torch.no_grad():
            torch.nn.init.zeros_(head.out.weight)  # what is made of padded rows enters nothing else
            return float(flow_loss(head, sample, features))

    before = loss()
    sample.targets[sample.padded] += 100.0
    assert loss() == before
    sample.targets[~sample.padded] += 100.0
    assert loss() > 10 * before


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ({"fps": 30}, r"20 ms apart, 50 a second; the dataset has 30 fps: .* --fps 50"),
        ({"names": ("shoulder", "elbow")}, "moves 3 joints, shoulder, elbow, wrist; the dataset has actions"),
        ({"names": ("a", "b", "c")}, r"expected the joints of the policy .*'a\.pos'.* --rename-joints"),
        ({"names": ("elbow", "shoulder", "wrist")}, "expected the joints of the policy in its order"),
        ({"velocities": False}, "has positions only: .* --velocities"),
        ({"size": (96, 128)}, "expected an image of 160x120 px or larger .* got front 128x96"),
        ({"size": (180, 320)}, "in the same proportions, got front 320x180"),
        ({"steps": True}, "absolute joint targets"),
        ({"unit": 57.3}, "in rad, got values up to .* as if in degrees"),
    ],
)
def test_a_dataset_that_does_not_fit_is_refused(
    tmp_path: Path, record_robot: Callable[..., Path], dataset: dict[str, Any], message: str
) -> None:
    names = dataset.get("names", ("", "", ""))
    shift = {"shift": (0.0,) * len(names)}
    folder = record_robot(tmp_path / "data", episodes=1, frames=5, **{**shift, **dataset})
    with pytest.raises(ConfigurationError, match=message):
        _read(folder)


def test_images_are_chosen_by_name(tmp_path: Path, record_robot: Callable[..., Path]) -> None:
    folder = record_robot(tmp_path / "data", episodes=1, frames=5)
    with pytest.raises(ConfigurationError, match=r"expected the image 'wrist' .* it has front 160x120"):
        _read(folder, camera="wrist")
    assert len(_read(folder, camera="front").states) == 5


def test_joints_may_have_other_names_or_none_and_images_be_larger(
    tmp_path: Path, record_robot: Callable[..., Path]
) -> None:
    small = {"episodes": 1, "frames": 5}
    folder = record_robot(tmp_path / "data", names=("a", "b", "c"), size=(240, 320), **small)
    assert _read(folder, rename=True).images.shape == (5, 60, 80, 3)
    assert _required().names(DatasetReader(folder).layout) == ("a", "b", "c")
    folder = record_robot(tmp_path / "unnamed", names=("", "", ""), **small)
    assert len(_read(folder).states) == 5
    assert _required().names(DatasetReader(folder).layout) == ("shoulder", "elbow", "wrist")
