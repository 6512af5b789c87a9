# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How the figures of the subcommands look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lowlat_nodes.stream.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT, RULE = "#20262d", "#6b7682", "#dfe4e8"

_STYLE = {
    "axes.edgecolor": RULE,
    "axes.grid": True,
    "axes.labelcolor": FAINT,
    "axes.labelsize": 9,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "axes.axisbelow": True,
    "figure.constrained_layout.use": True,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",  # text stays text, in the font of the page
    "svg.hashsalt": "lowlat demo",
    "xtick.color": FAINT,
    "xtick.labelsize": 8.5,
    "ytick.color": FAINT,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}


@contextmanager
def figure_of(
    width_in: float,
    height_in: float,
    *,
    rows: int = 1,
    columns: int = 1,
    widths: Sequence[float] | None = None,
    sharex: bool = False,
    sharey: bool = False,
) -> Iterator[tuple[Figure, list[Axes]]]:
    """Yield a figure and its axes, row by row.

    Args:
        width_in: Of the figure.
        height_in: Of the figure.
        rows: Of axes.
        columns: Of axes.
        widths: Relative widths of the columns, equal unless given.
        sharex: Whether all axes have one range of x.
        sharey: Whether all axes have one range of y.

    Raises:
        MissingExtra: If Matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", extra="viz") from error
    # A Figure of its own, without pyplot: no display is looked for and nothing global is left behind.
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width_in, height_in))
        axes = figure.subplots(
            rows, columns, squeeze=False, sharex=sharex, sharey=sharey, width_ratios=widths
        )
        yield figure, list(axes.flat)
