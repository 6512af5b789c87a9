# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The twelve classes and the tree that they are the leaves of."""

from __future__ import annotations

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
