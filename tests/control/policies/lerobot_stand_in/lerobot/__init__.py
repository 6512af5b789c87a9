# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for LeRobot, which weighs gigabytes: what `lerobot_server` calls, with a policy of one matrix.

It shows the protocol and the failures, not that LeRobot works so; `test_lerobot_peer` runs the real one.
"""
