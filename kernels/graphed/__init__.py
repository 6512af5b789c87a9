# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Policies of torch as CUDA graphs, so that an inference is one launch; see docs/graphed_policy.md."""

from lowlat_nodes.kernels.graphed.inputs import Input
from lowlat_nodes.kernels.graphed.pending import Pending
from lowlat_nodes.kernels.graphed.policy import GraphedPolicy, by_name

__all__ = ["GraphedPolicy", "Input", "Pending", "by_name"]
