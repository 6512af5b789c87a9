# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""YOLOv10 (Wang et al. 2024, arXiv 2405.14458): the network, its published checkpoints, its ONNX files."""
