# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Payloads in shared memory: written once by one process, read in place by any number of others.

A `Writer` puts the messages of a topic into slots of a file in /dev/shm and says where; whoever is told that
place gets views on it from a `Reader`. Each slot has a byte in the file that readers lock together and the
writer locks alone: so nobody sees a message that is being overwritten, nobody can hold up the writer, and a
lease ends with its process, however that ends.
"""
