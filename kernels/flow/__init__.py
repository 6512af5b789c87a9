# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What surrounds the matrix products in a denoising step of an action expert, fused; for inference only.

They take tensors of torch on both devices. Their kernels compute in float32 and round once, to the dtype of
the result; none waits for the GPU, so a CUDA graph can capture them.
"""

from __future__ import annotations

from lowlat_nodes.kernels.flow.ada_rms import ada_rms
from lowlat_nodes.kernels.flow.euler import euler
from lowlat_nodes.kernels.flow.rotary import rotary
from lowlat_nodes.kernels.flow.silu_gate import silu_gate

__all__ = ["ada_rms", "euler", "rotary", "silu_gate"]
