# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a policy of `lowlat train policy` requires of a dataset that is to adapt it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.dataset import Layout

if TYPE_CHECKING:
    from lowlat_nodes.train.loading import PolicyNetworks

_RATE_SHARE: Final = 0.001
_ASPECT_SHARE: Final = 0.02  # by how much an image may be wider or narrower than the policy's


@dataclass(frozen=True)
class Requirements:
    """What the metadata in a policy's file say that a dataset must have.

    Attributes:
        joints: Their names, in order.
        period_ns: Of its actions.
        horizon: Rows of a chunk.
        max_offset: Rows that a state may be later than its image.
        width_px: Of its image.
        height_px: Of its image.
    """

    joints: tuple[str, ...]
    period_ns: int
    horizon: int
    max_offset: int
    width_px: int
    height_px: int

    @classmethod
    def of(cls, policy: PolicyNetworks) -> Requirements:
        """Read the metadata of a policy.

        Raises ConfigurationError if they are not those of `lowlat train policy`, or of another network.
        """
        path, contract, network = policy.path, policy.contract, policy.head.config
        joints = tuple(contract.get("joint_names", "").split(","))
        fixed = {
            "contract": "lowlat-policy-1",
            "state_layout": "position,velocity",
            "state_units": "rad,rad/s",
            "action_kind": "absolute",
            "action_units": "rad",
            "horizon": str(network.horizon),
        }
        for key, value in fixed.items():
            if contract.get(key) != value:
                raise ConfigurationError(
                    f"{path}: expected a policy of lowlat train policy, with {key} = {value!r} in its "
                    f"metadata, got {contract.get(key)!r:.80}"
                )
        sizes = [
            _whole(path, contract, key)
            for key in ("action_dt_ns", "max_offset_steps", "image_width_px", "image_height_px")
        ]
        if len(joints) != network.joints:
            raise ConfigurationError(f"{path}: expected {network.joints} joint_names, got {list(joints)}")
        return cls(joints, sizes[0], network.horizon, *sizes[1:])

    def check(self, layout: Layout, *, rename: bool = False) -> None:
        """Compare joints and rate with those of a dataset.

        With `rename` the joints of the dataset stand for the policy's in their order, whatever their names.
        Raises ConfigurationError where they differ.
        """
        fps = 1e9 / self.period_ns
        if abs(layout.fps / fps - 1.0) > _RATE_SHARE:
            raise ConfigurationError(
                f"the policy's actions are {self.period_ns / 1e6:g} ms apart, {fps:g} a second; the dataset "
                f"has {layout.fps} fps: make it from the bags with lowlat dataset --fps {fps:g}"
            )
        count = len(self.joints)
        if len(layout.action) != count or len(layout.state) not in (count, 2 * count):
            raise ConfigurationError(
                f"the policy moves {count} joints, {', '.join(self.joints)}; the dataset has actions "
                f"{list(layout.action)} and states {list(layout.state)}: adapt a policy with as many joints"
            )
        if len(layout.state) == count:
            raise ConfigurationError(
                "the policy is told joint velocities, the dataset has positions only: make it from the bags "
                "with lowlat dataset --velocities"
            )
        given = self.names(layout)
        for feature, names, suffixes in (
            ("action", layout.action, (".pos",)),
            ("observation.state", layout.state, (".pos", ".vel")),
        ):
            joints = given if rename else self.joints
            wanted = [joint + suffix for suffix in suffixes for joint in joints]
            if any(
                name not in ("", full, full.rpartition(".")[0])
                for name, full in zip(names, wanted, strict=True)
            ):
                raise ConfigurationError(
                    f"{feature}: expected the joints of the policy in its order, {wanted}, got "
                    f"{list(names)}; set observation.joints.names and make the dataset again, or give "
                    f"--rename-joints if they do the same under other names"
                )

    def names(self, layout: Layout) -> tuple[str, ...]:
        """The names of the dataset's joints; those of the policy where it has none."""
        return tuple(
            name.removesuffix(".pos") or joint for name, joint in zip(layout.action, self.joints, strict=True)
        )

    def camera(self, layout: Layout, name: str = "") -> str:
        """Return the dataset's image for the policy, `name` or the only one.

        Raises ConfigurationError if there is none, or its size or shape does not do.
        """
        sizes = {key: f"{key} {width}x{height}" for key, (height, width) in layout.images.items()}
        if not name and len(sizes) == 1:
            (name,) = sizes
        if name not in sizes:
            asked = f"the image {name!r}" if name else "one image"
            raise ConfigurationError(
                f"expected {asked} in the dataset, it has {', '.join(sizes.values()) or 'none'}; name the "
                f"policy's with --camera"
            )
        height, width = layout.images[name]
        aspect = width * self.height_px / (height * self.width_px)
        if width < self.width_px or height < self.height_px or abs(aspect - 1.0) > _ASPECT_SHARE:
            raise ConfigurationError(
                f"expected an image of {self.width_px}x{self.height_px} px or larger in the same "
                f"proportions, got {sizes[name]}; crop it before it is recorded, as for the policy node"
            )
        return name


def _whole(path: Path, contract: Mapping[str, str], key: str) -> int:
    text = contract.get(key, "")
    least = 0 if key == "max_offset_steps" else 1
    if not text.isdecimal() or len(text) > 10 or int(text) < least:
        raise ConfigurationError(f"{path}: expected a whole number {key} in its metadata, got {text!r:.80}")
    return int(text)
