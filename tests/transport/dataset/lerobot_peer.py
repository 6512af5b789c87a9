# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs in LeRobot's environment: reads one dataset, prints what it finds, and records another of the same."""

from __future__ import annotations

import json
import sys

import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset


def main() -> None:
    """Read the dataset of the first folder and record that of the second."""
    ours, theirs = sys.argv[1:]
    dataset = LeRobotDataset("local/ours", root=ours)
    names = [name for name in dataset.features if name.startswith(("observation", "action"))]
    features = {name: dataset.features[name] for name in names}
    recorded = LeRobotDataset.create("local/theirs", dataset.fps, features, root=theirs, use_videos=False)
    found = []
    episode = 0
    for number in range(len(dataset)):
        frame = dataset[number]
        if frame["episode_index"].item() != episode:
            episode = frame["episode_index"].item()
            recorded.save_episode()
        values = {name: frame[name].numpy() for name in names}
        image = np.rint(values["observation.images.front"].transpose(1, 2, 0) * 255).astype(np.uint8)
        recorded.add_frame({**values, "observation.images.front": image, "task": frame["task"]})
        found.append(
            {
                "action": values["action"].tolist(),
                "image": int(image.sum()),
                "task": frame["task"],
                "timestamp": frame["timestamp"].item(),
            }
        )
    recorded.save_episode()
    recorded.finalize()
    stats = {name: sorted(item) for name, item in dataset.meta.stats.items()}
    print(json.dumps({"frames": found, "stats": stats}))


if __name__ == "__main__":
    main()
