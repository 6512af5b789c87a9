# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Packaging for pip and for colcon (ament_python)."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import Extension, find_packages, setup

NAME = "lowlat_nodes"
ROOT = Path(__file__).resolve().parent

# What `import lowlat_nodes` and the shipped models need; a ROS robot gets the same through package.xml.
BASE = [
    "numpy>=1.26",
    "pyzmq>=25",
    "msgpack>=1.0",
    "PyYAML>=6.0",
    "onnxruntime>=1.17",
    # Headless: the plain wheel loads libGL, which servers, containers and most robots lack.
    "opencv-python-headless>=4.8",
    "rosbags>=0.11",
    "mcap>=1.1",
    "lz4>=4.0",
    "zstandard>=0.20",
]

MESSAGES = [
    "builtin-interfaces",
    "diagnostic-msgs",
    "geometry-msgs",
    "lifecycle-msgs",
    "rosgraph-msgs",
    "sensor-msgs",
    "std-msgs",
    "std-srvs",
    "trajectory-msgs",
    "visualization-msgs",
]


def ros(distro: str) -> list[str]:
    """Return the wheels of one ROS 2 distribution; a sourced ROS installation takes their place."""
    return [f"ros-{distro}-{package}" for package in ["rclpy", "rmw-fastrtps-cpp", *MESSAGES]]


SIM = ["mujoco>=3.2"]
REMOTE = ["websockets>=15"]
VIZ = ["matplotlib>=3.8"]
DATASET = ["pyarrow>=16"]
TORCH = ["torch==2.13.0"]
ONNX = ["onnx>=1.16"]
OPENVINO = ["openvino>=2024.4"]
# Matches detections to tracks.
TRACKING = ["scipy>=1.8"]
# Streams of astronomical alerts: Kafka, metrics, and a reader for archives that noise is learnt from.
ALERTS = ["confluent-kafka>=2.6", "fastavro>=1.9", "prometheus-client>=0.20"]
# Spectral templates of supernovae.
SKY = ["sncosmo>=2.10"]
# Counters of NVIDIA GPUs.
ENERGY = ["nvidia-ml-py>=12.535"]
# Shared memory that other languages read too; from glibc 2.34 on.
ICEORYX2 = ["iceoryx2>=0.10"]
# Streams between hosts and over routers.
ZENOH = ["eclipse-zenoh>=1.5"]
# Compiled implementations of operations on the host, where they win.
KERNELS = ["numba>=0.60"]
# CUDA builds of torch want a release of their own, 3.7.1 with 2.13; tests need no GPU.
TRITON = ["triton>=3.7.1,<3.10; sys_platform == 'linux' and platform_machine == 'x86_64'"]
# What benchmarks compare with.
PEERS = ["george>=0.4.3"]
# Photographs to train detectors on.
PHOTOGRAPHS = ["scikit-image>=0.22"]
TRAIN = [*SIM, *TORCH, *ONNX, *PHOTOGRAPHS, *SKY]
# Not in DEV: peft brings 26 more packages, transformers among them, 100 MB.
FINETUNE = [*TORCH, *ONNX, *DATASET, "peft>=0.18"]
# colcon runs pytest for packages whose extra of this name has it.
TEST = ["hypothesis>=6.98", "pytest>=7.4", "pytest-timeout>=2.2"]
DEV = [
    *TRAIN,
    *VIZ,
    *REMOTE,
    *DATASET,
    *OPENVINO,
    *TRACKING,
    *ALERTS,
    *ENERGY,
    *ZENOH,
    *KERNELS,
    *TRITON,
    *PEERS,
    *TEST,
    "mypy>=1.11",
    "pytest-xdist>=3.5",
    "ruff>=0.6",
    "setuptools>=70.1",
    "types-PyYAML",
]


def version() -> str:
    """Return `__version__` without importing the package."""
    source = (ROOT / NAME / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"$', source, re.MULTILINE)
    if match is None:
        msg = f"{NAME}/__init__.py has no __version__"
        raise RuntimeError(msg)
    return match.group(1)


def description() -> str:
    """Return README.md without its pictures and without links to files: a package index has neither."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"^!\[[^\]]*\]\((?!https?:)[^)]*\)\n+", "", text, flags=re.MULTILINE)
    return re.sub(r"\[([^\]]*)\]\((?!https?:)[^)]*\)", r"\1", text)


def shared_files(folder: str, *patterns: str) -> list[tuple[str, list[str]]]:
    """Return the data_files entries that install a folder's files below share/lowlat_nodes."""
    targets: dict[str, list[str]] = {}
    for pattern in patterns:
        for path in sorted((ROOT / folder).rglob(pattern)):
            relative = path.relative_to(ROOT)
            targets.setdefault(f"share/{NAME}/{relative.parent.as_posix()}", []).append(relative.as_posix())
    return sorted(targets.items())


# Optional: where there is no compiler, alerts are read in Python, many times slower.
ALERT_READER = Extension(
    f"{NAME}.alerts.avro._machine",
    [f"{NAME}/alerts/avro/_machine.c"],
    extra_compile_args=["-O3"],
    optional=True,
)


setup(
    name=NAME,
    version=version(),
    description="Low-latency streaming processors for ROS 2: policies, detectors and alert classifiers",
    long_description=description(),
    long_description_content_type="text/markdown",
    author="lowlat_nodes contributors",
    maintainer="lowlat_nodes contributors",
    maintainer_email="maintainers@lowlat-nodes.invalid",
    license="Apache-2.0",
    keywords=["ROS 2", "robotics", "vision-language-action", "streaming", "low latency", "ZeroMQ"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering",
        "Typing :: Typed",
    ],
    python_requires=">=3.10,<3.14",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={"": ["py.typed", "*.html", "*.pyi"], f"{NAME}.cli.dash": ["page/*"]},
    ext_modules=[ALERT_READER],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        *shared_files("launch", "*.launch.py"),
        *shared_files("config", "*.yaml", "*.xml"),
        *shared_files("models", "*.onnx", "*.json", "*.md"),
        *shared_files("recordings", "*.avro", "*.md"),
        *shared_files("interfaces", "build.py", "CMakeLists.txt", "package.xml", "*.msg"),
    ],
    install_requires=BASE,
    extras_require={
        "ros": ros("jazzy"),
        "ros-kilted": ros("kilted"),
        "sim": SIM,
        "viz": VIZ,
        "remote": REMOTE,
        "dataset": DATASET,
        "torch": TORCH,
        "onnx": ONNX,
        "train": TRAIN,
        "finetune": FINETUNE,
        "openvino": OPENVINO,
        "tracking": TRACKING,
        "alerts": ALERTS,
        "energy": ENERGY,
        "zenoh": ZENOH,
        "kernels": KERNELS,
        "triton": TRITON,
        "sky": SKY,
        "iceoryx2": ICEORYX2,
        "peers": PEERS,
        "test": TEST,
        "dev": DEV,
    },
    zip_safe=False,
    entry_points={
        "console_scripts": [
            "lowlat = lowlat_nodes.cli.main:main",
            "alert_node = lowlat_nodes.nodes.alert_node:main",
            "alert_replay_node = lowlat_nodes.nodes.alert_replay_node:main",
            "bridge_node = lowlat_nodes.nodes.bridge_node:main",
            "detector_node = lowlat_nodes.nodes.detector_node:main",
            "energy_node = lowlat_nodes.nodes.energy_node:main",
            "policy_node = lowlat_nodes.nodes.policy_node:main",
            "processor_node = lowlat_nodes.nodes.plugin_node:main",
            "recorder_node = lowlat_nodes.nodes.recorder_node:main",
            "shapes_camera_node = lowlat_nodes.nodes.shapes_camera_node:main",
            "sim_arm_node = lowlat_nodes.nodes.sim_arm_node:main",
        ],
    },
)
