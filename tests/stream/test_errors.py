# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""One root for every error; a missing library names the extra that brings it."""

from __future__ import annotations

from lowlat_nodes.stream.errors import ConfigurationError, LowlatError, MissingExtra


def test_a_missing_library_is_a_configuration_error_that_says_what_to_install() -> None:
    error = MissingExtra("mujoco", "sim")
    assert isinstance(error, ConfigurationError)
    assert isinstance(error, LowlatError)
    assert "'mujoco'" in str(error)
    assert "pip install 'lowlat_nodes[sim]'" in str(error)
    assert str(MissingExtra("cv2")).endswith("pip install lowlat_nodes")
