# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Policies of torch as CUDA graphs, so that an inference is one launch; see docs/graphed_policy.md.

    from lowlat_nodes.kernels.graphed.policy import GraphedPolicy

This package itself imports nothing heavy; the modules in it need torch.
"""
