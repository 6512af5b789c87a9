# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Avro records to columns: what a projection names is read, the rest is skipped."""

from __future__ import annotations

from lowlat_nodes.alerts.avro.reader import BadRecord, Limits, Reader
from lowlat_nodes.alerts.avro.schema import BadSchema, fields, parse
from lowlat_nodes.alerts.avro.writer import Writer

__all__ = ["BadRecord", "BadSchema", "Limits", "Reader", "Writer", "fields", "parse"]
