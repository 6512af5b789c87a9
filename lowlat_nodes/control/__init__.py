# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Action chunks, their asynchronous execution, and what keeps a robot safe while a policy thinks."""
