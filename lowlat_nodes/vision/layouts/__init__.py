# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a detector's graph takes and gives, told from the graph itself, and how to read it."""
