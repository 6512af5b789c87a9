# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.control.rollforward import LastAction
from lowlat_nodes.control.state import RobotState
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train.rollouts import Demonstrations

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
N, D, H = 200, 10, 32
PERIOD_NS = 20_000_000


def _lessons():  # type: ignore[no-untyped-def]
    from lowlat_nodes.train.variants import Lessons

    random = np.random.default_rng(0)
    data = Demonstrations(
        images=np.zeros((N, 6, 8, 3), np.uint8),
        tokens=np.zeros((N, 12), np.int64),
        goal=random.normal(size=(N, 3)),
        task=np.zeros(N, np.int64),
        states=random.normal(size=(N, D + 1, 6)),
        commands=random.normal(size=(N, D + 2, 3)),
        episode=np.repeat(np.arange(N // 20), 20),
        tick=np.tile(np.arange(20) * 4 + 2, N // 20),
    )
    return Lessons(data, random.normal(size=(N, D + 1, H, 3)).astype(np.float32), PERIOD_NS * 1e-9)


def _draw(name: str):  # type: ignore[no-untyped-def]
    from lowlat_nodes.train.variants import VARIANTS

    lessons, rows = _lessons(), np.arange(N).repeat(5)
    return lessons, rows, VARIANTS[name].draw(lessons, rows, np.random.default_rng(1))


def _offsets(lessons, rows, targets) -> np.ndarray:  # type: ignore[no-untyped-def]
    same = (lessons.chunks[rows] == targets.numpy()[:, None]).all(axis=(2, 3))
    assert (same.sum(axis=1) == 1).all()
    return same.argmax(axis=1)


@pytest.mark.parametrize(("name", "offsets"), [("base", {0}), ("vlash", set(range(D + 1)))])
def test_states_and_plans_belong_together(name: str, offsets: set[int]) -> None:
    lessons, rows, sample = _draw(name)
    found = _offsets(lessons, rows, sample.targets)
    assert set(found) == offsets
    assert np.array_equal(sample.state, lessons.data.states[rows, found].astype(np.float32))
    assert sample.conditions is None
    assert sample.decided is None


def test_the_delay_is_told_in_tens_of_rows() -> None:
    lessons, rows, sample = _draw("delay")
    found = _offsets(lessons, rows, sample.targets)
    assert sample.conditions.shape == (len(rows), 1)
    assert sample.conditions[:, 0].numpy() == pytest.approx(found / 10)


def test_the_last_action_is_that_of_the_roll_forward() -> None:
    lessons, rows, sample = _draw("vlash_last_action")
    found = _offsets(lessons, rows, sample.targets)
    measured = (sample.state.numpy() == lessons.data.states[rows, found].astype(np.float32)).all(axis=1)
    assert measured[found == 0].all()
    assert 0.2 < measured[(found == 1) | (found == 2)].mean() < 0.7  # the image was old, nothing was decided
    assert not measured[found > 2].any()
    for i in np.flatnonzero(~measured)[:50]:
        sent = lessons.data.commands[rows[i]]
        offset = found[i]
        reading = lessons.data.states[rows[i], 0]
        projected = LastAction().project(
            RobotState(0, reading[:3], reading[3:]), sent[:2], sent[2 : 2 + offset], PERIOD_NS, PERIOD_NS
        )
        expected = np.concatenate([projected.position, projected.velocity])
        assert sample.state[i].numpy() == pytest.approx(expected, rel=1e-5)


def test_a_prefix_is_what_was_sent_and_the_plan_from_where_it_led() -> None:
    lessons, rows, sample = _draw("prefix")
    lengths = sample.decided.sum(dim=1).numpy()
    assert set(lengths) == set(range(9))
    assert np.array_equal(sample.conditions.numpy(), sample.decided.numpy())
    for i in range(0, len(rows), 17):
        length, row = lengths[i], rows[i]
        made = sample.targets[i].numpy()
        assert np.array_equal(made[:length], lessons.data.commands[row, 2 : 2 + length].astype(np.float32))
        assert np.array_equal(made[length:], lessons.chunks[row, length, : H - length])
        assert np.array_equal(sample.state[i], lessons.data.states[row, 0].astype(np.float32))


def test_only_rows_that_are_not_decided_are_learned() -> None:
    from lowlat_nodes.train.flow import FlowConfig, Head
    from lowlat_nodes.train.variants import flow_loss

    head = Head(FlowConfig(width=16, blocks=1, conditions=H))
    _, rows, sample = _draw("prefix")
    features = torch.zeros(len(rows), head.config.features)
    torch.nn.init.zeros_(head.out.weight)
    torch.nn.init.zeros_(head.out.bias)
    loss = flow_loss(head, sample, features)
    relative = head.from_targets(sample.targets, sample.state).unflatten(1, (H, 3))
    assert float(loss.detach()) == pytest.approx(float(relative[~sample.decided].square().mean()), rel=1e-5)


def test_pairs_are_of_one_episode_and_a_plan_still_runs() -> None:
    from lowlat_nodes.train.corrector import LONGEST_RUN, PLANNED_ROWS, Pairs

    lessons = _lessons()
    pairs, rows = Pairs.of(lessons), np.arange(N).repeat(20)
    data = lessons.data
    for delayed in (False, True):
        age, earlier, offset, gap = pairs.draw(rows, np.random.default_rng(2), delayed=delayed)
        assert np.array_equal(data.episode[earlier], data.episode[rows])
        assert np.array_equal(gap, data.tick[rows] + age - data.tick[earlier])
        assert (gap >= age).all()
        assert set(age) == {0, 1, 2}
        assert 15 <= (gap - age).max() <= D + LONGEST_RUN
        assert (offset >= 0).all()
        assert (offset <= np.minimum(gap, D)).all()
        assert (offset > 0).any() == delayed
        assert (gap - offset + PLANNED_ROWS <= H).all()


@pytest.mark.parametrize("conditions", [0, 1])
def test_a_corrector_learns_to_correct(conditions: int) -> None:
    from lowlat_nodes.train.corrector import Corrector, Pairs, correction_loss
    from lowlat_nodes.train.flow import FlowConfig, Head

    torch.manual_seed(0)
    lessons = _lessons()
    lessons.chunks[:] = lessons.data.goal[:, None, None] + 0.1  # what the features below tell
    head = Head(FlowConfig(width=16, blocks=1, conditions=conditions))
    features = torch.zeros(N, head.config.features)
    features[:, :3] = torch.from_numpy(lessons.data.goal.astype(np.float32))
    corrector, pairs, random = Corrector(head), Pairs.of(lessons), np.random.default_rng(0)
    frozen = {name: value.clone() for name, value in head.state_dict().items()}
    optimiser = torch.optim.Adam(corrector.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss = correction_loss(corrector, head, pairs, features, random.integers(N, size=64), random)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-10:]) < 0.2 * np.mean(losses[:3])
    assert all(torch.equal(value, frozen[name]) for name, value in head.state_dict().items())


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("vlash_lastaction", "vlash_last_action"), ("prefx", "prefix"), ("corector_base", "corrector_base")],
)
def test_a_name_that_does_not_exist_is_refused_with_the_right_one(wrong: str, right: str) -> None:
    from lowlat_nodes.train.variants import check_names

    with pytest.raises(ConfigurationError, match=f"did you mean '{right}'"):
        check_names(["base", wrong])
    assert check_names(["base", right]) == ["base", right]
