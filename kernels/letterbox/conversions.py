# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""OpenCV's names for the conversions of each encoding."""

from __future__ import annotations

import cv2

# Mosaics are named after their first two rows, as ROS and these codes do; OpenCV's older ones (BayerBG for
# rggb) begin one row and one column further on.
CODES: dict[str, dict[str, int]] = {
    "rgb": {"bgr": cv2.COLOR_RGB2BGR},
    "bgr": {"rgb": cv2.COLOR_BGR2RGB},
    "rgba": {"rgb": cv2.COLOR_RGBA2RGB, "bgr": cv2.COLOR_RGBA2BGR},
    "bgra": {"rgb": cv2.COLOR_BGRA2RGB, "bgr": cv2.COLOR_BGRA2BGR},
    "mono": {"rgb": cv2.COLOR_GRAY2RGB, "bgr": cv2.COLOR_GRAY2BGR},
    "nv12": {"rgb": cv2.COLOR_YUV2RGB_NV12, "bgr": cv2.COLOR_YUV2BGR_NV12},
    "yuyv": {"rgb": cv2.COLOR_YUV2RGB_YUY2, "bgr": cv2.COLOR_YUV2BGR_YUY2},
    "uyvy": {"rgb": cv2.COLOR_YUV2RGB_UYVY, "bgr": cv2.COLOR_YUV2BGR_UYVY},
    "rggb": {"rgb": cv2.COLOR_BayerRGGB2RGB, "bgr": cv2.COLOR_BayerRGGB2BGR},
    "bggr": {"rgb": cv2.COLOR_BayerBGGR2RGB, "bgr": cv2.COLOR_BayerBGGR2BGR},
    "grbg": {"rgb": cv2.COLOR_BayerGRBG2RGB, "bgr": cv2.COLOR_BayerGRBG2BGR},
    "gbrg": {"rgb": cv2.COLOR_BayerGBRG2RGB, "bgr": cv2.COLOR_BayerGBRG2BGR},
}
"""By encoding, to `rgb` and to `bgr`; without what it is already."""
