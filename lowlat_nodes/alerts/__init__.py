# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Astronomical alerts: from the bytes of a packet to class probabilities."""
