# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Payloads in shared memory: written once by one process, read in place by any number of others."""
