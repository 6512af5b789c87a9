# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""One benchmark for each claim; `lowlat bench NAME` runs `benchmarks/NAME.py`."""
