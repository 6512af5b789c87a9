# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Streams over Zenoh, between hosts and over routers: the same headers and arrays as over ZeroMQ."""
