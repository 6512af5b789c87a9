# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Settings that are kept beside what a run recorded, so that it can be read again later."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from lowlat_nodes.stream.errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Self

FILE = "settings.json"


@dataclass(frozen=True)
class Kept:
    """The base of settings: a dataclass of plain values and tuples of words."""

    def save(self, folder: Path) -> None:
        """Write them into the folder of a run."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
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
        lists = [item.name for item in fields(cls) if str(item.type).startswith("tuple")]
        if (
            not isinstance(values, dict)
            or set(values) != names
            or not all(isinstance(values[name], list) for name in lists)
        ):
            raise ConfigurationError(f"{path}: expected exactly the settings {', '.join(sorted(names))}")
        return cls(**{**values, **{name: tuple(values[name]) for name in lists}})
