# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A simulated sky: what varies in it, how bright it is, and what a survey sees of it."""
