# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Kafka: packets from the topics of a broker in a consumer group, results to others."""
