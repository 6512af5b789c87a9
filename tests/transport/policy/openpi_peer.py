# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""openpi's own client, run by an interpreter that has it (and none of this package); prints what came."""

from __future__ import annotations

import json
import sys

import numpy as np
from openpi_client.websocket_client_policy import WebsocketClientPolicy


def main() -> None:
    """Ask the server at a host and a port, with a token or without."""
    host, port, token = sys.argv[1:4]
    policy = WebsocketClientPolicy(host, int(port), api_key=token or None)
    spec = policy.get_server_metadata()["lowlat"]["spec"]
    height, width = spec["images"]["image"]
    observation = {
        "observation/state": np.linspace(-0.5, 0.5, 6),
        "observation/image": np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3),
        "prompt": "touch the red light",
    }
    actions, timings = [], []
    for _ in range(3):
        reply = policy.infer(observation)
        actions.append(reply["actions"].tolist())
        timings.append(sorted(reply["server_timing"]))
    policy.reset()
    del observation["observation/state"]
    try:
        policy.infer(observation)
        error = ""
    except RuntimeError as caught:
        error = str(caught)
    print(json.dumps({"numpy": np.__version__, "actions": actions, "timings": timings, "error": error}))


main()
