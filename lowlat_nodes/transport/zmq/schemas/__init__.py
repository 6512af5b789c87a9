# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the payloads of streams are on the wire: docs/stream_protocol.md has every schema."""
