# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What tells one machine from another."""

from __future__ import annotations

import os

from lowlat_nodes.inference import machine


def test_it_says_what_decides_how_fast_models_run() -> None:
    found = machine.describe()
    assert found["processor"]
    assert found["cores"] == str(len(os.sched_getaffinity(0)))
    assert found["onnxruntime"] == machine.version("onnxruntime")
    assert set(found) == {"processor", "cores", "graphics", *machine.LIBRARIES}


def test_it_says_the_same_each_time() -> None:
    assert machine.describe() == machine.describe()


def test_what_is_not_installed_has_no_version() -> None:
    assert machine.version("numpy")
    assert machine.version("no-such-distribution-at-all") == ""


def test_a_processor_has_a_name() -> None:
    assert machine.processor_name()
