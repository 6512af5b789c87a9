# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How each shipped model was made: `lowlat train NAME` runs the module of that name."""
