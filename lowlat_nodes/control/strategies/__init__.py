# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""When to ask the policy, and for which instant: one small class per asynchronous strategy."""
