# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.sim.arm import ArmConfig, mjcf
from lowlat_nodes.sim.kinematics import LINK_LENGTHS_M, REACH_M, fingertip, forward, inverse


def test_a_stretched_arm_reaches_the_sum_of_its_links() -> None:
    assert forward([0.0, 0.0, 0.0])[-1] == pytest.approx([sum(LINK_LENGTHS_M), 0.0])
    assert forward([np.pi / 2, 0.0, 0.0])[1] == pytest.approx([0.0, LINK_LENGTHS_M[0]])


def test_inverse_then_forward_returns_to_the_point() -> None:
    radius = np.linspace(REACH_M[0] + 1e-3, REACH_M[1] - 1e-3, 40)
    bearing = np.linspace(0.2, 2.9, 40)
    points = np.stack([radius * np.cos(bearing), radius * np.sin(bearing)], axis=-1)
    assert forward(inverse(points))[..., -1, :] == pytest.approx(points, abs=1e-6)


def test_the_fingertip_is_where_forward_puts_it() -> None:
    for q in np.random.default_rng(0).uniform(-2.0, 2.0, (20, 3)):
        assert fingertip(q) == pytest.approx(tuple(forward(q)[-1]), abs=1e-12)


@pytest.mark.parametrize("point", [(0.0, 0.05), (0.0, 0.9)])
def test_inverse_refuses_what_the_arm_cannot_reach(point: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="m from the base"):
        inverse(point)


@pytest.mark.sim
def test_forward_agrees_with_mujoco() -> None:
    mujoco = pytest.importorskip("mujoco")
    model = mujoco.MjModel.from_xml_string(mjcf(ArmConfig()))
    data = mujoco.MjData(model)
    data.qpos[:] = [0.7, 0.9, 0.4]
    mujoco.mj_forward(model, data)
    assert data.site("tip").xpos[:2] == pytest.approx(forward(data.qpos)[-1], abs=1e-12)
