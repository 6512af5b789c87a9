# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Weights of a run that may be cut: written whole or not at all, read without running anything."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lowlat_nodes.stream.errors import ConfigurationError


def save(net: nn.Module, path: Path) -> None:
    """Write the weights of a network as .npz; a file that is there is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **{name: value.numpy() for name, value in net.state_dict().items()})
    partial.replace(path)


def load(net: nn.Module, path: Path) -> None:
    """Read weights that `save` wrote into a network.

    Raises ConfigurationError for a file that is not there, is none of those, or is of another network.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            weights = {name: torch.from_numpy(stored[name]) for name in stored.files}
        net.load_state_dict(weights)
    except (OSError, ValueError, TypeError, AttributeError, RuntimeError, zipfile.BadZipFile) as error:
        said = str(error).partition("\n")[0]
        raise ConfigurationError(
            f"{path}: expected weights of this network, as lowlat train detector writes them: {said:.200}"
        ) from error
