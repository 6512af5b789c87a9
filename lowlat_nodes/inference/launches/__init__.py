# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Kernel launches of an inference: what they cost the host, and whether host or device bounds it."""
