# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Scoring on tracks whose reactions are known because they were made that way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from lowlat_nodes.sim.score import CommandTrack, ReactionRule, Target, difference_ci95, score, wilson_ci95
from lowlat_nodes.stream.errors import ConfigurationError

MS = 1_000_000
PERIOD_NS = 10 * MS
WINDOW_NS = 1000 * MS
SPEED_M_S = 4.0


class Run:
    """A run in the making: targets left and right in turn, and a track that rests unless told otherwise."""

    def __init__(self, targets: int = 20, *, spacing_ns: int = 2000 * MS) -> None:
        self.stamp_ns = np.arange(0, (targets + 1) * spacing_ns, PERIOD_NS, dtype=np.int64)
        self.tip_m = np.zeros((len(self.stamp_ns), 2))
        self.tip_m[:, 1] = 0.4
        # Off the grid of the commands, each at another phase.
        self.targets = [
            Target(
                k, k * spacing_ns + spacing_ns // 2 + 7 * k * 100_000, 0, 0.3 * (-1) ** k, 0.4, hit=k % 4 != 0
            )
            for k in range(targets)
        ]
        self.targets = [
            Target(t.id, t.onset_ns, t.onset_ns + WINDOW_NS // 2, t.x_m, t.y_m, t.hit) for t in self.targets
        ]

    def move(self, start_ns: int, place: tuple[float, float], *, speed_m_s: float = SPEED_M_S) -> None:
        """Let the track head for a place from a time on and stay there."""
        first = int(np.searchsorted(self.stamp_ns, start_ns))
        line = np.asarray(place) - self.tip_m[first - 1]
        length = float(np.linalg.norm(line))
        gone = np.minimum((self.stamp_ns[first:] - start_ns) * 1e-9 * speed_m_s, length)
        self.tip_m[first:] = self.tip_m[first - 1] + gone[:, None] * line / length

    def react(self, reaction_ns: Sequence[int]) -> None:
        """Answer each target after its own time."""
        for target, reaction in zip(self.targets, reaction_ns, strict=True):
            self.move(target.onset_ns + reaction, (target.x_m, target.y_m))

    @property
    def track(self) -> CommandTrack:
        return CommandTrack(self.stamp_ns, self.tip_m)


def test_finds_known_reactions_within_a_period_and_the_threshold() -> None:
    run = Run()
    reactions = [(100 + 13 * k) * MS for k in range(len(run.targets))]
    run.react(reactions)

    result = score(run.targets, run.track)

    late_ns = result.reaction_ns - np.array(reactions)
    threshold_ns = 3 * 0.001 / SPEED_M_S * 1e9  # a policy at rest has the floor for its sigma
    assert result.missed_reactions == 0
    assert late_ns.min() >= 0
    assert late_ns.max() <= PERIOD_NS + threshold_ns
    assert result.reaction_quantile_ns(0.5) == pytest.approx(
        np.median(reactions), abs=PERIOD_NS + threshold_ns
    )


def test_sigma_is_the_rms_of_no_event_progress_and_raises_the_threshold() -> None:
    run = Run()
    random = np.random.default_rng(0)
    sway_m = 0.01 * random.standard_normal(len(run.stamp_ns))
    run.react([200 * MS] * len(run.targets))
    run.tip_m[:, 0] += sway_m

    result = score(run.targets, run.track)

    # Progress is the difference of two independent sways.
    assert result.sigma_m[0] == 0.001
    assert result.sigma_m[5:].mean() == pytest.approx(0.01 * np.sqrt(2), rel=0.2)
    assert result.no_event_trials == len(run.targets) - 1
    late_ns = result.reaction_ns - 200 * MS
    assert np.nanmedian(late_ns) == pytest.approx(3 * result.sigma_m[20] / SPEED_M_S * 1e9, abs=2 * PERIOD_NS)


def test_sigma_grows_with_the_time_watched_where_the_policy_drifts() -> None:
    run = Run()
    random = np.random.default_rng(1)
    run.tip_m[:, 0] = np.cumsum(0.001 * random.standard_normal(len(run.stamp_ns)))

    sigma_m = score(run.targets, run.track).sigma_m

    assert np.all(np.diff(sigma_m) >= 0)
    assert sigma_m[40] > 3 * sigma_m[2]


def test_wandering_alone_is_hardly_ever_a_reaction() -> None:
    run = Run(targets=200)
    random = np.random.default_rng(2)
    run.tip_m += np.cumsum(0.002 * random.standard_normal(run.tip_m.shape), axis=0) * [1.0, 0.0]

    result = score(run.targets, run.track)

    assert result.missed_reactions >= 0.95 * len(run.targets)


def test_motion_away_from_the_light_is_no_reaction() -> None:
    run = Run()
    for target in run.targets:
        here = run.track.at(np.array([target.onset_ns]))[0]
        run.move(target.onset_ns + 150 * MS, tuple(1.2 * here - 0.2 * np.array([target.x_m, target.y_m])))

    assert score(run.targets, run.track).missed_reactions == len(run.targets)


def test_a_reaction_after_the_light_went_off_counts() -> None:
    run = Run()
    reactions = [(WINDOW_NS // 2 + 100 * MS) if k == 7 else 100 * MS for k in range(len(run.targets))]
    run.react(reactions)

    result = score(run.targets, run.track)

    assert result.missed_reactions == 0
    assert result.reaction_ns[7] == pytest.approx(reactions[7], abs=15 * PERIOD_NS)


def test_what_starts_with_the_next_target_is_missed_and_in_no_quantile() -> None:
    run = Run()
    for target in run.targets:
        late_ns = 2010 * MS if target.id % 6 == 5 else 100 * MS
        run.move(target.onset_ns + late_ns, (target.x_m, target.y_m))

    result = score(run.targets, run.track)

    assert set(range(5, 20, 6)) <= set(np.flatnonzero(np.isnan(result.reaction_ns)).tolist())
    assert result.reaction_quantile_ns(1.0) < 250 * MS


@pytest.mark.parametrize(("blip_ns", "found"), [(30 * MS, False), (120 * MS, True)])
def test_only_what_persists_counts_and_counts_from_its_first_command(blip_ns: int, found: bool) -> None:
    run = Run()
    for target in run.targets:
        since = run.stamp_ns - target.onset_ns
        run.tip_m[(since >= 100 * MS) & (since < 100 * MS + blip_ns), 0] = 0.5 * target.x_m

    result = score(run.targets, run.track)

    if found:
        assert np.nanmax(result.reaction_ns) <= 100 * MS + PERIOD_NS
    assert result.missed_reactions == (0 if found else len(run.targets))


def test_sigma_is_taken_from_the_same_directions_as_reactions() -> None:
    """What a policy does across the line to the next target says nothing about progress towards it."""
    run = Run()
    run.tip_m[:, 1] += 0.05 * np.random.default_rng(3).standard_normal(len(run.stamp_ns))
    run.targets = [
        Target(t.id, t.onset_ns, t.off_ns, 100.0 * t.x_m, t.y_m, t.hit) for t in run.targets
    ]  # so far away that the line hardly turns with the sway

    assert score(run.targets, run.track).sigma_m[-1] < 0.002


def test_shifting_all_stamps_changes_nothing() -> None:
    run = Run()
    run.react([180 * MS] * len(run.targets))
    before = score(run.targets, run.track)
    shift_ns = 1_790_000_000_123_456_789  # stamps of the Unix epoch, beyond what a double can count in ns
    run.targets = [
        Target(t.id, t.onset_ns + shift_ns, t.off_ns + shift_ns, t.x_m, t.y_m, t.hit) for t in run.targets
    ]
    run.stamp_ns = run.stamp_ns + shift_ns

    after = score(run.targets, run.track)

    np.testing.assert_array_equal(before.reaction_ns, after.reaction_ns)


def test_targets_before_the_first_command_are_missed_reactions() -> None:
    run = Run()
    run.react([150 * MS] * len(run.targets))
    late = run.stamp_ns > run.targets[3].off_ns
    track = CommandTrack(run.stamp_ns[late], run.tip_m[late])

    result = score(run.targets, track)

    assert np.isnan(result.reaction_ns[:4]).all()
    assert not np.isnan(result.reaction_ns[4:]).any()


def test_counts_hits_with_wilsons_interval() -> None:
    run = Run(targets=20)

    result = score(run.targets, run.track)

    assert (result.hits, result.targets, result.hit_rate) == (15, 20, 0.75)
    assert result.hit_ci95 == wilson_ci95(15, 20)


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (163, 200, 0.7556, 0.8626)],
)
def test_wilson_interval_of_known_counts(hits: int, trials: int, low: float, high: float) -> None:
    assert wilson_ci95(hits, trials) == pytest.approx((low, high), abs=2e-4)


def test_wilson_interval_without_trials_says_nothing() -> None:
    assert wilson_ci95(0, 0) == (0.0, 1.0)


def test_difference_of_two_rates_as_newcombe_1998_gives_it() -> None:
    """Table II of the paper, row (a): 56/70 against 48/80, method 10."""
    assert difference_ci95(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=2e-4)


def test_too_few_targets_are_refused_with_the_count() -> None:
    run = Run(targets=3)
    with pytest.raises(ValueError, match=r"at least 5 no-event trials .* got 2 out of 3 targets"):
        score(run.targets, run.track)


def test_a_track_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="increasing stamps"):
        CommandTrack(np.array([2, 1], dtype=np.int64), np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"tips \[n, 2\]"):
        CommandTrack(np.array([1, 2], dtype=np.int64), np.zeros((2, 3)))


def test_a_rule_without_a_floor_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="positive"):
        ReactionRule(floor_m=0.0)
