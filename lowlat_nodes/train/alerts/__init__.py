# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The classifier of alerts: a transformer over the tokens of a light curve, trained on a simulated sky."""
