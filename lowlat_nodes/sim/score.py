# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The score of a run of the reaction task, from what was published: hit rate and reaction times.

*Reaction* is the time from a target's light going on to the first published command that moves towards it
by more than three sigma of no-event trials:

- The *track* is the fingertip that the newest published command asks for (forward kinematics of its joint
  targets), a step function of time. It is what the policy decided; how the servos follow is not in it.
- *Progress* of a trial is how far the track has come from where it was at onset, along the straight line
  to the light, in m. Motion across that line is none, motion away from the light is negative.
- A *no-event trial* is the same projection, towards the next target, before that one lights up: from
  `settle_ns` after the last target went off until the next target's onset. Nothing that was asked for
  burns, and the settling time is the shortest gap of the schedule, so that the arm is at least as restless
  as at real onsets. Decoys burn in both kinds of trial, so what a policy does about them is noise here.
- *Sigma* is the root mean square of the no-event progress of the same run, as a function of the time since
  onset, because a policy that wanders gets further the longer it is watched. No mean is subtracted: without
  an event no direction is better than another. It never falls with time (isotonic regression, which also
  smooths it), and is at least `floor_m`, since a policy that holds perfectly still would turn rounding into
  reactions.
- The first command beyond `sigmas` times that counts if all commands of the following `persistence_ns` are
  beyond it too. It is looked for until the next target goes on, also after the light itself went off: to
  stop there would leave out the longest reactions and flatter slow policies. A target without any is a
  *missed* reaction; it is counted apart and is in no quantile.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.errors import ConfigurationError

Floats = NDArray[np.float64]

_NORMAL_97_5 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Target:
    """A light that was to be touched, and what became of it.

    Attributes:
        id: Number in the schedule.
        onset_ns: When it went on.
        off_ns: When it was touched or burned out.
        x_m: Its place in the table frame.
        y_m: Its place in the table frame.
        hit: Whether it was touched in time.
    """

    id: int
    onset_ns: int
    off_ns: int
    x_m: float
    y_m: float
    hit: bool


@dataclass(frozen=True, slots=True, eq=False)
class CommandTrack:
    """Where the published commands put the fingertip.

    Attributes:
        stamp_ns: int64 [n], increasing: when each command was published, in the clock of the targets.
        tip_m: float64 [n, 2] in m in the table frame.
    """

    stamp_ns: NDArray[np.int64]
    tip_m: Floats

    def __post_init__(self) -> None:
        if self.tip_m.shape != (len(self.stamp_ns), 2) or np.any(np.diff(self.stamp_ns) < 0):
            raise ValueError(
                "expected increasing stamps [n] and tips [n, 2], "
                f"got {self.stamp_ns.shape} and {self.tip_m.shape}"
            )

    def at(self, when_ns: NDArray[np.int64]) -> Floats:
        """Return the fingertip of the newest command at each time: [k, 2], NaN before the first command."""
        index = np.searchsorted(self.stamp_ns, when_ns, side="right") - 1
        tips = np.full((len(when_ns), 2), np.nan)
        tips[index >= 0] = self.tip_m[index[index >= 0]]
        return tips


@dataclass(frozen=True)
class ReactionRule:
    """The parameters of the definition of a reaction; see the module's text."""

    sigmas: float = 3.0
    settle_ns: int = 250_000_000
    persistence_ns: int = 50_000_000
    floor_m: float = 0.001
    step_ns: int = 10_000_000  # the resolution of sigma in time
    least_trials: int = 5

    def __post_init__(self) -> None:
        if min(self.sigmas, self.floor_m, self.step_ns) <= 0 or min(self.settle_ns, self.persistence_ns) < 0:
            raise ConfigurationError(f"expected positive sigmas, floor, step; no negative time: {self}")


@dataclass(frozen=True, eq=False)
class Score:
    """What a run is worth.

    Attributes:
        targets: How many targets were decided.
        hits: How many of them were touched in time.
        hit_ci95: Wilson's interval for the hit rate.
        reaction_ns: float64 [targets], NaN for a missed reaction.
        sigma_m: float64 [m]: sigma at multiples of `ReactionRule.step_ns` after onset.
        no_event_trials: How many trials sigma comes from.
    """

    targets: int
    hits: int
    hit_ci95: tuple[float, float]
    reaction_ns: Floats
    sigma_m: Floats
    no_event_trials: int

    @property
    def hit_rate(self) -> float:
        """Share of targets that were touched in time, 0 without targets."""
        return self.hits / self.targets if self.targets else 0.0

    @property
    def missed_reactions(self) -> int:
        """How many targets saw no reaction."""
        return int(np.isnan(self.reaction_ns).sum())

    def reaction_quantile_ns(self, q: float) -> float:
        """Return a quantile of the reactions that happened, NaN if none did."""
        seen = self.reaction_ns[~np.isnan(self.reaction_ns)]
        return float(np.quantile(seen, q)) if len(seen) else math.nan


def wilson_ci95(hits: int, trials: int) -> tuple[float, float]:
    """Return the 95 % score interval of a proportion (Wilson 1927); (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    z2 = _NORMAL_97_5**2
    share = hits / trials
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    spread = math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    half = _NORMAL_97_5 * spread / (1 + z2 / trials)
    # At the ends the interval touches 0 or 1 exactly; rounding must not take it beyond.
    low = 0.0 if hits == 0 else middle - half
    high = 1.0 if hits == trials else middle + half
    return low, high


def difference_ci95(hits: int, trials: int, other_hits: int, other_trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a difference of two proportions (Newcombe 1998, method 10).

    Runs over one schedule are paired, which this does not use: the interval is on the wide side.
    """
    share, other = (
        part / whole if whole else 0.5 for part, whole in ((hits, trials), (other_hits, other_trials))
    )
    low, high = wilson_ci95(hits, trials)
    other_low, other_high = wilson_ci95(other_hits, other_trials)
    difference = share - other
    return (
        difference - math.hypot(share - low, other_high - other),
        difference + math.hypot(high - share, other - other_low),
    )


def score(targets: Sequence[Target], track: CommandTrack, rule: ReactionRule | None = None) -> Score:
    """Score a run from its targets in order of onset and the commands published meanwhile.

    Raises:
        ValueError: If there are fewer no-event trials than `rule.least_trials`: too few targets, or too
            close to each other.
    """
    rule = rule or ReactionRule()
    # Each target is watched until the next one goes on.
    ends_ns = [target.onset_ns for target in targets[1:]]
    ends_ns += [target.off_ns + rule.settle_ns for target in targets[-1:]]
    watched = list(zip(targets, ends_ns, strict=True))
    longest_ns = max((end_ns - target.onset_ns for target, end_ns in watched), default=0)
    grid_ns = np.arange(0, longest_ns + rule.step_ns, rule.step_ns, dtype=np.int64)
    quiet = _no_event_progress(targets, track, rule, grid_ns)
    if len(quiet) < rule.least_trials:
        raise ValueError(
            f"expected at least {rule.least_trials} no-event trials to take sigma from, got {len(quiet)} "
            f"out of {len(targets)} targets"
        )
    sigma_m = _sigma(quiet, rule)
    reaction_ns = np.array([_reaction_ns(*each, track, sigma_m, rule) for each in watched])
    hits = sum(target.hit for target in targets)
    return Score(len(targets), hits, wilson_ci95(hits, len(targets)), reaction_ns, sigma_m, len(quiet))


def _progress(
    track: CommandTrack, start_ns: int, place: tuple[float, float], when_ns: NDArray[np.int64]
) -> Floats:
    """Return how far the track has come towards a place since a time, [len(when_ns)] in m."""
    start = track.at(np.array([start_ns], dtype=np.int64))[0]
    line = np.asarray(place) - start
    distance = float(np.linalg.norm(line))
    if not distance > 0.0:  # already there, or no command yet
        return np.full(len(when_ns), np.nan)
    progress: Floats = (track.at(when_ns) - start) @ (line / distance)
    return progress


def _no_event_progress(
    targets: Sequence[Target], track: CommandTrack, rule: ReactionRule, grid_ns: NDArray[np.int64]
) -> Floats:
    """Return the progress of the no-event trials [trials, len(grid_ns)], NaN after their end."""
    trials = []
    for last, following in itertools.pairwise(targets):
        start_ns = last.off_ns + rule.settle_ns
        if following.onset_ns - start_ns < rule.persistence_ns:
            continue
        progress = _progress(track, start_ns, (following.x_m, following.y_m), start_ns + grid_ns)
        progress[start_ns + grid_ns >= following.onset_ns] = np.nan
        if not np.isnan(progress[0]):
            trials.append(progress)
    return np.array(trials).reshape(len(trials), len(grid_ns))


def _sigma(progress: Floats, rule: ReactionRule) -> Floats:
    """Return sigma over time [len(grid)]; where too few trials last as long, the value before holds."""
    lasting = (~np.isnan(progress)).sum(axis=0)
    watched = int((lasting >= rule.least_trials).sum())  # trials only ever end, so these come first
    mean_square = np.nansum(progress[:, :watched] ** 2, axis=0) / lasting[:watched]
    rms = np.sqrt(_rising(mean_square, lasting[:watched].astype(np.float64)))
    sigma: Floats = np.maximum(rms[np.minimum(np.arange(len(lasting)), watched - 1)], rule.floor_m)
    return sigma


def _rising(values: Floats, weights: Floats) -> Floats:
    """Return the weighted least-squares fit that never falls (pool adjacent violators, Ayer et al. 1955)."""
    pools: list[tuple[float, float, int]] = []  # value, weight, length
    for value, weight in zip(values, weights, strict=True):
        pool = (float(value), float(weight), 1)
        while pools and pools[-1][0] >= pool[0]:
            before = pools.pop()
            total = before[1] + pool[1]
            pool = ((before[0] * before[1] + pool[0] * pool[1]) / total, total, before[2] + pool[2])
        pools.append(pool)
    return np.repeat([pool[0] for pool in pools], [pool[2] for pool in pools])


def _reaction_ns(
    target: Target, end_ns: int, track: CommandTrack, sigma_m: Floats, rule: ReactionRule
) -> float:
    first = int(np.searchsorted(track.stamp_ns, target.onset_ns, side="left"))
    end = int(np.searchsorted(track.stamp_ns, end_ns, side="left"))
    when_ns = track.stamp_ns[first:end]
    since_ns = when_ns - target.onset_ns
    threshold_m = rule.sigmas * sigma_m[np.minimum(since_ns // rule.step_ns, len(sigma_m) - 1)]
    beyond = _progress(track, target.onset_ns - 1, (target.x_m, target.y_m), when_ns) > threshold_m
    fell_back = np.flatnonzero(~beyond)
    for candidate in np.flatnonzero(beyond):
        until_ns = when_ns[candidate] + rule.persistence_ns
        if until_ns > end_ns:
            break
        later = fell_back[fell_back > candidate]
        if len(later) == 0 or when_ns[later[0]] > until_ns:
            return float(since_ns[candidate])
    return math.nan
