# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a result costs, as `lowlat top` shows it; of processes without ROS by the board of this host."""

from __future__ import annotations

from lowlat_nodes.cli.reports import Report
from lowlat_nodes.energy.board import Board
from lowlat_nodes.energy.folder import energy_folder
from lowlat_nodes.energy.headline import headline
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.meter import Kind
from lowlat_nodes.transport.zmq.endpoint import is_local

KIND = "energy.kind"
"""The value of a report that tells how its energy is known."""

_PER_ACTION = "energy.j_per_action"


def cost_cell(report: Report) -> str:
    """Return the energy of a result with its unit: `0.41 J/detection`.

    `~` stands before what is modelled, `fake` before what no hardware measured; `-` is for no meter, and
    nothing for who does not tell.
    """
    kind = report.values.get(KIND, "")
    if not kind:
        return ""
    joules, unit = report.number(_PER_ACTION), "action"
    if joules is None:
        joules, unit = report.number("energy.j_per_result"), report.values.get("energy.unit", "")
    if joules is None or kind == Kind.UNAVAILABLE.value:
        return "-"
    fake = "fake " if report.values.get("energy.fake") else ""
    return f"{fake}{'~' if kind == Kind.MODELLED.value else ''}{_figure(joules)} J/{unit or 'result'}"


class HostBoard:
    """What the sampler of this host says of processes that tell nothing of their energy themselves."""

    def __init__(self) -> None:
        try:
            self._board: Board | None = Board(energy_folder())
        except ConfigurationError:  # of somebody else: then there is nothing to show
            self._board = None

    def values(self, named: list[tuple[str, str]]) -> list[dict[str, str]]:
        """Return the values `energy.*` of each of some processes; none for those of other hosts.

        Args:
            named: The endpoint and the name of each.
        """
        figures = None if self._board is None else self._board.read()
        if figures is None:
            return [{} for _ in named]
        units = {node.node: node.unit for node in figures.nodes}
        return [
            {key: str(value) for key, value in headline(figures, name).values(units[name]).items()}
            if name in units and is_local(endpoint)
            else {}
            for endpoint, name in named
        ]


def _figure(joules: float) -> str:
    """Return three digits without an exponent where that is short."""
    return f"{joules:.3g}" if not 1e3 <= abs(joules) < 1e6 else f"{joules:.0f}"
