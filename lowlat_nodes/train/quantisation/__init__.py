# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Post-training static quantisation of detectors to INT8, behind a gate (survey: arXiv 2103.13630)."""
