# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Wire protocols of policy servers: clients that are `Requester`s, and servers for `Responder`s."""
