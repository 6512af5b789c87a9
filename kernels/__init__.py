# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Operations that pay to be fused, each with an oracle, a CPU and a GPU implementation; see docs/kernels.md.

They are imported as `lowlat_nodes.kernels`, know nothing of the rest of the package, and need NumPy alone:
numba, OpenCV, torch and Triton are used where they are installed.
"""
