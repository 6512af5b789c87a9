# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat demo --full`: all nodes as one graph for some time, and a report of how they did."""
