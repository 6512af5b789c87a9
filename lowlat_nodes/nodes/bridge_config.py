# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the bridge."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lowlat_nodes.nodes.base import NodeSettings
from lowlat_nodes.nodes.bridge_offers import OFFERS
from lowlat_nodes.nodes.zmq_output import ZmqSettings
from lowlat_nodes.stream.config import group, section, setting
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.zmq.curve import ClientKeys, load_client_keys
from lowlat_nodes.transport.zmq.frames import MAX_TOPIC
from lowlat_nodes.transport.zmq.subscriptions import RESERVED

TO_ZMQ, TO_ROS = "to_zmq", "to_ros"

_RESERVED = RESERVED.decode()


@dataclass(frozen=True, kw_only=True)
class Route:
    """One topic that crosses."""

    ros: str = setting(
        doc="The ROS topic; relative names follow the node's namespace, and all follow its remappings."
    )
    zmq: str = setting("", doc="The topic on the wire; empty: the full ROS name without its leading slash.")
    direction: str = setting(choices=(TO_ZMQ, TO_ROS), doc="Which way messages go.")
    peer: str = setting("", doc="With to_ros: whom to subscribe to; empty where there is one peer only.")
    type: str = setting(
        "",
        doc="Message type such as sensor_msgs/msg/Image; empty: as the publishers, or the other bridge, say.",
    )
    keep: str = setting(
        "newest",
        choices=("newest", "every"),
        doc="newest: a message that waits gives way to the next; every: up to `depth` of them wait.",
    )
    depth: int = setting(100, low=1, high=10_000, doc="With every: how many messages wait.")
    max_hz: float = setting(
        0.0, unit="Hz", low=0.0, high=100_000.0, doc="Most messages a second, the others are dropped; 0: all."
    )
    expire_ms: float = setting(
        0.0,
        unit="ms",
        low=0.0,
        high=3_600_000.0,
        doc="Age at which a message is of no use any more and is dropped, wherever it is then; 0: never.",
    )
    form: str = setting(
        "auto",
        choices=("auto", "fields", "cdr"),
        doc="With to_zmq, what goes over the wire. auto: images, joint states and texts as themselves, any "
        "other type as the bytes of ROS; fields: field by field, for readers without ROS; cdr: bytes.",
    )
    image: str = setting("raw", choices=("raw", "jpeg"), doc="With to_zmq: whether images are compressed.")
    jpeg_quality: int = setting(85, low=1, high=100, doc="Of the compressed images.")
    reliability: str = setting(
        "auto",
        choices=("auto", "reliable", "best_effort"),
        doc="On ROS. auto: with to_zmq the most that all publishers offer, with to_ros what was offered on "
        "the other side, or reliable.",
    )
    durability: str = setting(
        "auto",
        choices=("auto", "volatile", "transient_local"),
        doc="transient_local (latched): those who come later get the last messages, on both sides; auto: "
        "as the publishers offer.",
    )
    forward_bridged: bool = setting(
        False, doc="With to_zmq: whether what bridges publish on ROS is sent, too. It can go in circles."
    )


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A publisher elsewhere, such as another bridge."""

    endpoint: str = setting(doc="Where it publishes: tcp://HOST:PORT or ipc:///PATH.")
    server_key: str = setting("", doc="File of its public key; needed where it asks for keys.")
    key: str = setting("", doc="File of this node's secret key.")

    def __post_init__(self) -> None:
        if bool(self.server_key) != bool(self.key):
            raise ConfigurationError(
                f"the peer at {self.endpoint}: expected server_key and key together, or neither of them"
            )

    def keys(self) -> ClientKeys | None:
        """Load the keys; None where none are given.

        Raises:
            ConfigurationError: If a file is no such key, or others may read the secret.
        """
        return load_client_keys(self.key, self.server_key) if self.key else None


@dataclass(frozen=True, kw_only=True)
class BridgeConfig(NodeSettings):
    """Everything that the bridge can be told."""

    routes: Mapping[str, Route] = group(Route, doc="The topics that cross, by a name of your own.")
    zmq: ZmqSettings = section(ZmqSettings, doc="Where this bridge publishes what goes to ZeroMQ.")
    peers: Mapping[str, Peer] = group(Peer, doc="Whom it subscribes to.")

    def __post_init__(self) -> None:
        if not self.routes:
            raise ConfigurationError(
                "expected at least one route, such as routes.camera.ros: /camera/image_raw with "
                "routes.camera.direction: to_zmq"
            )
        for name, route in self.routes.items():
            if route.direction == TO_ROS:
                self.peer_of(name)
            elif not self.zmq.endpoint:
                raise ConfigurationError(
                    f"routes.{name} goes to ZeroMQ, and zmq.endpoint does not say where: "
                    "expected tcp://127.0.0.1:PORT or ipc:///PATH"
                )

    def going(self, direction: str) -> dict[str, Route]:
        """Return the routes of a direction, by name."""
        return {name: route for name, route in self.routes.items() if route.direction == direction}

    def peer_of(self, name: str) -> str:
        """Return the name of the peer that a route to ROS subscribes to.

        Raises:
            ConfigurationError: If it says none, and there is not just one.
        """
        given = self.routes[name].peer
        if given in self.peers:
            return given
        known = f"known: {', '.join(self.peers)}" if self.peers else "there is none: give peers.NAME.endpoint"
        if given:
            nearest = difflib.get_close_matches(given, self.peers, 1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else known
            raise ConfigurationError(f"routes.{name}.peer: there is no peer {given!r}; {hint}")
        if len(self.peers) != 1:
            raise ConfigurationError(f"routes.{name}.peer: expected the name of a peer; {known}")
        return next(iter(self.peers))


@dataclass(frozen=True)
class Named:
    """A route with its names resolved.

    Attributes:
        name: In the configuration.
        route: Its settings.
        ros: Full name of the ROS topic.
        zmq: Topic on the wire.
        peer: Whom a route to ROS subscribes to, empty for one to ZeroMQ.
    """

    name: str
    route: Route
    ros: str
    zmq: str
    peer: str


def check_routes(routes: Iterable[Named], endpoint: str, peers: Mapping[str, Peer]) -> None:
    """Refuse routes that get in each other's way.

    Raises:
        ConfigurationError: If two routes fill one topic on the wire, or the bridge would hear itself.
    """
    outward: dict[str, Named] = {}
    routes = list(routes)
    for each in routes:
        if each.zmq.startswith((_RESERVED, OFFERS)) or not 0 < len(each.zmq.encode()) <= MAX_TOPIC:
            raise ConfigurationError(
                f"routes.{each.name}.zmq: expected a topic of 1 to {MAX_TOPIC} bytes that begins neither "
                f"with {_RESERVED} nor with {OFFERS}, got {each.zmq!r}"
            )
        if each.route.direction != TO_ZMQ:
            continue
        other = outward.setdefault(each.zmq, each)
        if other is not each:
            raise ConfigurationError(
                f"routes.{other.name} and routes.{each.name} both go to {each.zmq!r} on the wire; give one "
                "of them another name with `zmq`"
            )
    for each in routes:
        if each.route.direction != TO_ROS:
            continue
        echo = outward.get(each.zmq)
        if endpoint and peers[each.peer].endpoint == endpoint:
            raise ConfigurationError(
                f"routes.{each.name} is a loop: peers.{each.peer}.endpoint {endpoint!r} is this bridge's own "
                "zmq.endpoint; expected that of another bridge or publisher"
            )
        if echo is not None and echo.ros == each.ros and echo.route.forward_bridged:
            raise ConfigurationError(
                f"routes.{each.name} and routes.{echo.name} are a loop: what comes from {each.zmq!r} to "
                f"{each.ros} would go back to {each.zmq!r}; set routes.{echo.name}.forward_bridged: false"
            )
