# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How the plots of all benchmarks look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from lowlat_nodes.stream.errors import MissingExtra

_STYLE: Final = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "svg.hashsalt": "lowlat_nodes",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
}


@contextmanager
def svg_pyplot() -> Iterator[Any]:
    """Yield Matplotlib's pyplot for SVG files that are the same for the same figures.

    Raises:
        MissingExtra: If Matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtra("matplotlib", extra="viz") from error
    mpl.use("svg")
    from matplotlib import pyplot as plt

    with plt.rc_context(_STYLE):
        yield plt


def save(plt: Any, figure: Any, path: Path) -> Path:
    """Write a figure, forget it and return its path."""
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path
