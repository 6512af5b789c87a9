# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""ZeroMQ sockets with bounds, deadlines and keys; the only part that knows libzmq's options."""
