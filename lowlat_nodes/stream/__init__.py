# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages, mailboxes, processors and pipelines; imports nothing else of this package."""
