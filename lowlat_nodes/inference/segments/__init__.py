# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Models that give way: an ONNX graph cut into parts that run one after the other, with a turn in between."""
