# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Low-latency streaming processors for ROS 2: policies, detectors and alert classifiers."""

from __future__ import annotations

__version__ = "0.1.0"
