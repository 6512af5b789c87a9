# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Counters of joules: of processors, boards, batteries and GPUs, each behind `stream.meter.Meter`."""
