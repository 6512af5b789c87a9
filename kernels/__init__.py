# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""GPU kernels, imported as `lowlat_nodes.kernels`."""
