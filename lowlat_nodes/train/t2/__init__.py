# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The time-series transformer t2 and its compression (Allam Jr. et al., arXiv 2105.06178 and 2303.08951)."""
