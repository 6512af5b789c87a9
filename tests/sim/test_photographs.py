# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys

import numpy as np
import pytest

from lowlat_nodes.sim.shapes import photographs as module
from lowlat_nodes.sim.shapes.photographs import TEST, TRAIN, photographs
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra


@pytest.mark.photographs
@pytest.mark.parametrize(("split", "names"), [("train", TRAIN), ("test", TEST)])
def test_photographs_are_rgb(split: str, names: tuple[str, ...]) -> None:
    found = photographs(split)
    assert len(found) == len(names)
    for pixels in found:
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3
        assert min(pixels.shape[:2]) >= 100


@pytest.mark.photographs
def test_grey_ones_have_three_equal_channels_and_coloured_ones_are_not_swapped() -> None:
    found = dict(zip(TEST, photographs("test"), strict=True))
    assert (found["camera.png"] == found["camera.png"][:, :, :1]).all()
    # A cup of coffee on a wooden table: more red than blue.
    assert found["coffee.png"][:, :, 0].mean() > found["coffee.png"][:, :, 2].mean() + 20


def test_no_photograph_is_in_both_splits() -> None:
    assert len(TEST) >= 4
    assert not set(TRAIN) & set(TEST)
    # Left and right half of one scene.
    assert not any(name.startswith("motorcycle") for name in TEST)


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="train or test, got 'validation'"):
        photographs("validation")


@pytest.mark.photographs
def test_a_photograph_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TEST", ("eagle.png",))
    with pytest.raises(ConfigurationError, match=r"expected the photograph eagle\.png"):
        photographs("test")


def test_without_the_library_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(MissingExtra, match=r"lowlat_nodes\[train\]"):
        photographs("train")
