# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Simulated robots, cameras and tasks for the demo and the tests; their callers step the time."""
