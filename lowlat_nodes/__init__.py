# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Low-latency streaming processors for ROS 2: policies, detectors and alert classifiers."""

from __future__ import annotations

import os

__version__ = "0.1.0"

# ONNX Runtime, here and in children, would report to its makers, from threads and a database of its own.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
