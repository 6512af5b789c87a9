# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Packaging for pip and for colcon (ament_python)."""

from setuptools import setup

setup(
    name="nearest_obstacle",
    version="0.1.0",
    packages=["nearest_obstacle"],
    install_requires=["lowlat_nodes"],
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/nearest_obstacle"]),
        ("share/nearest_obstacle", ["package.xml", "nearest_obstacle.yaml"]),
    ],
    # This is all that lowlat_nodes needs to find the processor by name.
    entry_points={
        "lowlat_nodes.processors": [
            "nearest_obstacle = nearest_obstacle.processor:make_nearest_obstacle",
        ],
    },
)
