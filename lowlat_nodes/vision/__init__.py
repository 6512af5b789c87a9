# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""From pixels to detections: what a model takes, what its outputs mean, and how good they are."""
