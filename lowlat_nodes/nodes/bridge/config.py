# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the bridge."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lowlat_nodes.nodes.base import NodeSettings
from lowlat_nodes.nodes.bridge.offers import OFFERS
from lowlat_nodes.nodes.zmq_output import ZmqSettings
from lowlat_nodes.stream.config import group, section, setting
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.zenoh.keys import SCHEME, prefix_of
from lowlat_nodes.transport.zenoh.session import ZenohSettings
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

    @property
    def waiting(self) -> int:
        """Return how many messages of the route wait anywhere."""
        return self.depth if self.keep == "every" else 1


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service that can be called from the other side."""

    ros: str = setting(doc="The ROS service; relative names follow the node's namespace.")
    zmq: str = setting("", doc="The method on the wire; empty: the full ROS name without its leading slash.")
    direction: str = setting(
        choices=(TO_ZMQ, TO_ROS),
        doc="Which way calls go. to_zmq: ROS clients call what a peer answers; to_ros: peers call a server "
        "on ROS.",
    )
    peer: str = setting("", doc="With to_zmq: who answers; empty where there is one peer only.")
    type: str = setting(doc="Service type such as std_srvs/srv/SetBool.")
    timeout_ms: float = setting(
        1000.0, unit="ms", low=1.0, high=3_600_000.0, doc="After this time an answer is of no use."
    )
    form: str = setting(
        "cdr",
        choices=("cdr", "json"),
        doc="With to_zmq, what the peer is sent: the bytes of ROS, as another bridge takes them, or JSON. "
        "With to_ros each caller is answered in the form of its call.",
    )


@dataclass(frozen=True, kw_only=True)
class PeerSettings:
    """A publisher elsewhere, such as another bridge, and who answers calls there."""

    endpoint: str = setting(
        "", doc="Where it publishes: tcp://HOST:PORT, ipc:///PATH, or zenoh://PREFIX of a bridge over Zenoh."
    )
    services: str = setting("", doc="Where it answers calls of services.")
    server_key: str = setting(
        "", doc="Its public key, or the name or file of it; needed where it asks for keys, and goes with key."
    )
    key: str = setting("", doc="Keys of this node, by name or secret file.")

    def __post_init__(self) -> None:
        if bool(self.server_key) != bool(self.key):
            raise ConfigurationError(
                f"the peer at {self.endpoint or self.services}: expected server_key and key together, or "
                "neither of them"
            )

    def keys(self) -> ClientKeys | None:
        """Load the keys; None where none are given.

        Raises:
            ConfigurationError: If a file is no such key, or others may read the secret.
        """
        return load_client_keys(self.key, self.server_key) if self.key else None


@dataclass(frozen=True)
class BridgeZmq(ZmqSettings):
    """Where the bridge publishes and answers, and who may come in."""

    services: str = setting("", doc="Where it answers calls of ROS services; the same keys count there.")


@dataclass(frozen=True, kw_only=True)
class BridgeConfig(NodeSettings):
    """Everything that the bridge can be told."""

    routes: Mapping[str, Route] = group(Route, doc="The topics that cross, by a name of your own.")
    services: Mapping[str, Service] = group(Service, doc="The services, likewise.")
    zmq: BridgeZmq = section(
        BridgeZmq, doc="Where this bridge publishes and answers; an endpoint zenoh://PREFIX is over Zenoh."
    )
    zenoh: ZenohSettings = section(ZenohSettings, doc="The session for endpoints of Zenoh.")
    peers: Mapping[str, PeerSettings] = group(PeerSettings, doc="Whom it subscribes to.")

    def __post_init__(self) -> None:
        for endpoint in (self.zmq.endpoint, *(peer.endpoint for peer in self.peers.values())):
            if endpoint.startswith(SCHEME):
                prefix_of(endpoint)
        if not self.routes and not self.services:
            raise ConfigurationError(
                "expected at least one route, such as routes.camera.ros: /camera/image_raw with "
                "routes.camera.direction: to_zmq"
            )
        for name, route in self.routes.items():
            if route.direction == TO_ROS:
                self.peer_of(f"routes.{name}", route.peer, "endpoint")
            else:
                self._check_own(f"routes.{name} goes to", "endpoint")
        for name, service in self.services.items():
            if service.direction == TO_ZMQ:
                self.peer_of(f"services.{name}", service.peer, "services")
            else:
                self._check_own(f"services.{name} is called from", "services")

    @property
    def over_zenoh(self) -> bool:
        """Whether any endpoint is one of Zenoh."""
        endpoints = (self.zmq.endpoint, *(peer.endpoint for peer in self.peers.values()))
        return any(endpoint.startswith(SCHEME) for endpoint in endpoints)

    def peer_of(self, what: str, given: str, address: str) -> str:
        """Return the name of the peer that a route or a service needs.

        Args:
            what: The route or service, for the messages.
            given: The name that it says, empty for the only one.
            address: What the peer must have, endpoint or services.

        Raises:
            ConfigurationError: If it says none and there is not just one, or the peer has no such address.
        """
        known = ", ".join(self.peers) or f"none: give peers.NAME.{address}"
        if given and given not in self.peers:
            nearest = difflib.get_close_matches(given, self.peers, 1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"there is {known}"
            raise ConfigurationError(f"{what}.peer: there is no peer {given!r}; {hint}")
        if not given and len(self.peers) != 1:
            raise ConfigurationError(f"{what}.peer: expected the name of a peer; there is {known}")
        peer = given or next(iter(self.peers))
        if not getattr(self.peers[peer], address):
            raise ConfigurationError(
                f"{what} needs peers.{peer}.{address}: expected tcp://HOST:PORT or ipc:///PATH"
            )
        return peer

    def _check_own(self, what: str, address: str) -> None:
        if not getattr(self.zmq, address):
            raise ConfigurationError(
                f"{what} ZeroMQ, and zmq.{address} does not say where: expected tcp://127.0.0.1:PORT or "
                "ipc:///PATH"
            )


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


def check_routes(routes: Iterable[Named], endpoint: str, peers: Mapping[str, PeerSettings]) -> None:
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


def check_services(services: Mapping[str, Service], names: Mapping[str, str]) -> None:
    """Refuse services that get in each other's way.

    Args:
        services: By name.
        names: The full name on ROS of each.

    Raises:
        ConfigurationError: If two of them are one on either side, or the bridge would call itself.
    """
    seen: dict[tuple[str, str], str] = {}
    for name, service in services.items():
        side = names[name] if service.direction == TO_ZMQ else service.zmq or names[name].lstrip("/")
        other = seen.setdefault((service.direction, side), name)
        if other != name:
            raise ConfigurationError(
                f"services.{other} and services.{name} both answer {side!r}; give one another name"
            )
    called = {names[name]: name for name, service in services.items() if service.direction == TO_ROS}
    for name, service in services.items():
        if service.direction == TO_ZMQ and names[name] in called:
            raise ConfigurationError(
                f"services.{name} and services.{called[names[name]]} are a loop: the bridge would answer "
                f"{names[name]} and call it; expected another name on ROS for one of them"
            )
