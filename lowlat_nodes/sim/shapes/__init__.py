# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""ShapeStream: moving shapes before photographs, with exact ground truth, to train and judge detectors."""

from lowlat_nodes.sim.shapes.config import ShapesConfig
from lowlat_nodes.sim.shapes.outlines import NAMES
from lowlat_nodes.sim.shapes.renderer import Frame, Truth
from lowlat_nodes.sim.shapes.stream import ShapeSamples, ShapeStream

__all__ = ["NAMES", "Frame", "ShapeSamples", "ShapeStream", "ShapesConfig", "Truth"]
