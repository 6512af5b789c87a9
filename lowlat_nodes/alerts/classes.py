# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The twelve classes and the tree that they are the leaves of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CLASSES = (
    "SN Ia",
    "SN II",
    "SN Ib/c",
    "SLSN",
    "TDE",
    "CV",
    "flare",
    "microlensing",
    "AGN",
    "RR Lyrae",
    "eclipsing binary",
    "long-period variable",
)
"""The leaves, in the order of the probabilities."""

TREE = {
    "transient": {
        "supernova": ("SN Ia", "SN II", "SN Ib/c", "SLSN"),
        "nuclear": ("TDE",),
        "stellar": ("CV", "flare", "microlensing"),
    },
    "persistent": {
        "active galaxy": ("AGN",),
        "variable star": ("RR Lyrae", "eclipsing binary", "long-period variable"),
    },
}
"""Three levels: what happens once or lasts, what kind of object, which class."""


def among(probabilities: NDArray[np.float32], names: Sequence[str]) -> NDArray[np.float32]:
    """Return the probabilities of some classes, given that it is one of them.

    Args:
        probabilities: float32 [n, 12], in the order of `CLASSES`.
        names: k of `CLASSES`, such as `TREE["transient"]["supernova"]`.

    Returns:
        float32 [n, k], in the order of the names; each row sums to 1.

    Raises:
        ValueError: If there is no such class.
    """
    if unknown := [name for name in names if name not in CLASSES]:
        raise ValueError(f"{unknown[0]!r} is none of {', '.join(CLASSES)}")
    chosen = probabilities[:, [CLASSES.index(name) for name in names]]
    # Where all of them are impossible, none is likelier than the others.
    chosen = np.maximum(chosen, np.finfo(np.float32).tiny)
    shares: NDArray[np.float32] = chosen / chosen.sum(1, keepdims=True)
    return shares
