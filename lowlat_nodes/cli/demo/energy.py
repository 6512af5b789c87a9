# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the policy node used during the lights, as a sampler of energy that runs beside it tells."""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lowlat_nodes.cli.demo.processes import Processes
from lowlat_nodes.energy.board import Board
from lowlat_nodes.energy.figures import Figures
from lowlat_nodes.energy.folder import VARIABLE, energy_folder
from lowlat_nodes.energy.headline import UNSEEN, UNUSED, headline
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.meter import Kind

FILE = "energy.json"
NODE = "/policy_node"
_OURS = "energyd"
_LEAST_S = 5.0  # of a run, whose figures come once a second
MEMORY = Path("/dev/shm")  # noqa: S108 - pages of nodes must never wait for a disk
_MOST_METERS = 64
_MOST_TEXT = 2000


@dataclass(frozen=True)
class RunEnergy:
    """What the policy node used, all its processes together, as the sampler charged it.

    Attributes:
        kind: measured, modelled or unavailable.
        watts: Its mean power from the start of the lights to their end; None where there is none.
        meters: Whose figures were added.
        why: What makes it doubtful or what it is a model of, or why there is none.
    """

    kind: str
    watts: float | None = None
    meters: tuple[str, ...] = ()
    why: str = ""

    def __post_init__(self) -> None:
        known = self.watts is not None and math.isfinite(self.watts)
        if self.kind not in {kind.value for kind in Kind} or known != (self.kind != Kind.UNAVAILABLE.value):
            raise ConfigurationError(
                f"expected watts where there is a kind, got {self.watts} of {self.kind!r}"
            )

    def figures(self, seconds: float, actions: int) -> dict[str, Any]:
        """Return it as benchmarks have it, for so many actions within so many seconds."""
        joules = None if self.watts is None else self.watts * seconds
        return {
            "kind": self.kind,
            "j_per_action": None if joules is None or not actions else float(f"{joules / actions:.4g}"),
            "joules": None if joules is None else float(f"{joules:.4g}"),
            "results": actions,
            "seconds": round(seconds, 3),
            "charged": list(self.meters),
            "why": self.why,
        }

    def save(self, folder: Path) -> None:
        """Keep it beside the bag of its run."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> RunEnergy:
        """Read what `save` wrote; a run without it has none."""
        path = folder / FILE
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                str(values["kind"]),
                None if values["watts"] is None else float(values["watts"]),
                tuple(str(name) for name in values["meters"][:_MOST_METERS]),
                str(values["why"])[:_MOST_TEXT],
            )
        except FileNotFoundError:
            return unavailable("this run was made without a sampler of energy")
        except (OSError, ValueError, TypeError, KeyError, ConfigurationError) as error:
            return unavailable(f"{path} cannot be read: {error}")


def unavailable(why: str) -> RunEnergy:
    """Return that there is no figure, and why."""
    return RunEnergy(Kind.UNAVAILABLE.value, why=why)


class EnergyWatch:
    """Follows the board of a sampler through one run.

    Args:
        folder: Of the sampler.
        log: What a sampler of our own prints; None for another.
    """

    def __init__(self, folder: Path, log: Path | None = None) -> None:
        self._board = Board(folder)
        self._log = log
        self._first: Figures | None = None
        self._last: Figures | None = None
        self._running = False

    def hear(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """Take in what the driver of the run says; return what it used last, for the live table."""
        event = said.get("event")
        self._running = event == "start" or (self._running and event != "end")
        figures = self._board.read()
        if figures is not None and (self._running or event == "end"):
            self._first, self._last = self._first or figures, figures
        found = headline(figures, NODE, self._board.why)
        if found.fake or found.kind is Kind.UNAVAILABLE:
            return {"kind": Kind.UNAVAILABLE.value, "watts": None}
        return {"kind": found.kind.value, "watts": found.watts}

    def result(self) -> RunEnergy:
        """Return what the node used from the start of the lights to their end."""
        if self._first is None or self._last is None:
            where = f"{self._log.parent.name}/{self._log.name} says why" if self._log else self._board.why
            return unavailable(f"the sampler of energy published nothing during the lights; {where}")
        return used(self._first, self._last, NODE)


def used(first: Figures, last: Figures, node: str) -> RunEnergy:
    """Return what a node used between two sets of figures of one sampler."""
    before, after = (headline(figures, node) for figures in (first, last))
    seconds = (last.steady_ns - first.steady_ns) * 1e-9
    if after.kind is Kind.UNAVAILABLE:
        return unavailable(_reasons(last) or after.why)
    if after.fake:
        return unavailable(f"the meters are fakes ({after.fake}), and figures of fakes are not shown")
    fresh = before.kind is Kind.UNAVAILABLE and before.why in {UNSEEN, UNUSED}  # it begins at 0
    if not fresh and (before.kind, before.meters) != (after.kind, after.meters):
        return unavailable("the meters changed during the run")
    if seconds < _LEAST_S:
        return unavailable(f"{seconds:.1f} s are too short for figures that come every second")
    watts = (after.joules - (0.0 if fresh else before.joules)) / seconds
    if not math.isfinite(watts):
        return unavailable("the sampler does not know what the node used")
    said = dict.fromkeys(meter.why for meter in last.meters if meter.name in after.meters and meter.why)
    return RunEnergy(after.kind.value, watts, after.meters, "; ".join(said))


@contextmanager
def sampled(folder: Path, environment: Mapping[str, str]) -> Iterator[tuple[EnergyWatch, dict[str, str]]]:
    """See to it that a sampler runs; yield who follows it, and the environment of the nodes that it serves.

    The sampler of the host is the better one where there is one: it may be allowed more meters, and knows the
    power without work by now. One that knows a node of our name already would take it for ours.

    Args:
        folder: For what a sampler of our own prints.
        environment: Of all processes.
    """
    theirs = _of_host()
    if theirs is not None:
        yield EnergyWatch(theirs), dict(environment)
        return
    with tempfile.TemporaryDirectory(prefix="lowlat_demo_energy_", dir=MEMORY) as pages:
        ours = {**environment, VARIABLE: pages}
        # By itself: a run does not end because its sampler does.
        with Processes(folder, ours) as alone:
            alone.start(_OURS, [sys.executable, "-m", "lowlat_nodes.cli.main", "energyd"])
            yield EnergyWatch(Path(pages), folder / f"{_OURS}.log"), ours


def _of_host() -> Path | None:
    """Return the folder of the sampler that runs here, None where there is none for us."""
    try:
        folder = energy_folder()
    except ConfigurationError:
        return None
    figures = Board(folder).read()
    return folder if figures is not None and figures.node(NODE) is None else None


def _reasons(figures: Figures) -> str:
    """Return what the meters say that do not count, and which there could be."""
    said = [f"{meter.name}: {meter.why}" for meter in figures.meters if meter.why]
    if figures.missing:
        names = ", ".join(each.name for each in figures.missing)
        said.append(f"missing here: {names}; `lowlat energy meters` says why, and what to do")
    return "; ".join(said)[:_MOST_TEXT]
