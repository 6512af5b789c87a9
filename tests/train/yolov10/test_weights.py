# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.stream.errors import ConfigurationError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


def test_weights_come_back(tmp_path: Path) -> None:
    from lowlat_nodes.train.yolov10 import weights

    path = tmp_path / "new" / "net.npz"
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    weights.save(net, path)
    other = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    weights.load(other, path)
    stored = other.state_dict()
    assert all(torch.equal(value, stored[name]) for name, value in net.state_dict().items())
    assert [item.name for item in path.parent.iterdir()] == ["net.npz"]


def test_what_is_no_weights_is_refused(tmp_path: Path) -> None:
    from lowlat_nodes.train.yolov10 import weights

    net = torch.nn.Linear(2, 2)
    text, other = tmp_path / "text.npz", tmp_path / "other.npz"
    text.write_text("no archive")
    np.savez(other, weight=np.zeros((3, 3)))
    objects = tmp_path / "objects.npz"
    np.savez(objects, weight=np.array([{}], dtype=object), bias=np.zeros(2))
    for path in (text, other, objects, tmp_path / "missing.npz"):
        with pytest.raises(ConfigurationError, match=f"{path.name}: expected weights"):
            weights.load(net, path)
