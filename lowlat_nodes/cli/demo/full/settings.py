# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a run of the whole graph was told to do; kept beside its records so that they can be read again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from lowlat_nodes.stream.errors import ConfigurationError

FILE = "settings.json"


@dataclass(frozen=True)
class FullSettings:
    """The settings of a run.

    Attributes:
        seconds: From the first light on.
        lights: How many lights go on in that time.
        alerts: How many alerts are sent.
        nodes: Names of the nodes, in the order of the parameter file.
        picture: The detector's camera whose picture is kept; empty for none.
    """

    seconds: float
    lights: int
    alerts: int
    nodes: tuple[str, ...]
    picture: str = ""

    def save(self, folder: Path) -> None:
        """Write them into the folder of a run."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> FullSettings:
        """Read them from the folder of a run.

        Raises:
            ConfigurationError: If there are none, or they are not these settings.
        """
        path = folder / FILE
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"expected the folder of a demo run with {FILE}, got {folder}: {error}"
            ) from error
        names = {item.name for item in fields(cls)}
        if not isinstance(values, dict) or set(values) != names or not isinstance(values["nodes"], list):
            raise ConfigurationError(f"{path}: expected exactly the settings {', '.join(sorted(names))}")
        return cls(**{**values, "nodes": tuple(values["nodes"])})
