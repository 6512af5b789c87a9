# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Images as they come from cameras: what they say of themselves, their bounds, and their pixels."""
