# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Command-line arguments about ZeroMQ: which publisher, which topics, which keys."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from lowlat_nodes.stream.errors import ConfigurationError

if TYPE_CHECKING:
    from lowlat_nodes.transport.zmq.curve import ClientKeys, ServerKeys


class Place(NamedTuple):
    """An endpoint, and the topics that are meant there; none for all."""

    endpoint: str
    topics: tuple[str, ...]


def place(text: str) -> Place:
    """Return endpoint and topics of `ENDPOINT[,TOPIC...]`."""
    endpoint, *topics = text.split(",")
    if not endpoint or not all(topics):
        raise argparse.ArgumentTypeError(f"expected ENDPOINT[,TOPIC,...], got {text!r}")
    return Place(endpoint, tuple(topics))


def add_client_keys(parser: argparse._ArgumentGroup | argparse.ArgumentParser) -> None:
    """Add the options of who connects to publishers with keys."""
    _add_key(parser, "for publishers with keys")
    parser.add_argument(
        "--server-key", action="append", default=[], metavar="KEY",
        help="public key of the publisher, or its name or file; one for all, or one for each in their order",
    )  # fmt: skip


def add_watched(parser: argparse.ArgumentParser) -> None:
    """Add the options of who watches nodes: where they report, and processes that beat over ZeroMQ."""
    parser.add_argument("--topic", default="/diagnostics", help="where the nodes report")
    parser.add_argument(
        "--zmq", action="append", default=[], metavar="ENDPOINT",
        help="where a process publishes over ZeroMQ, with ROS or without; may be given several times",
    )  # fmt: skip
    add_client_keys(parser)


def add_server_keys(parser: argparse._ArgumentGroup | argparse.ArgumentParser) -> None:
    """Add the options of who publishes with keys."""
    _add_key(parser, "where other machines may listen")
    parser.add_argument(
        "--allow", action="append", default=[], metavar="KEY",
        help="public key of a subscriber that may come in, or its name or file (as lowlat keys allow says)",
    )  # fmt: skip


def _add_key(parser: argparse._ArgumentGroup | argparse.ArgumentParser, use: str) -> None:
    parser.add_argument(
        "--key", "--key-file", dest="key_file", default="", metavar="NAME",
        help=f"our keys by name (lowlat keys new) or secret file, {use}",
    )  # fmt: skip


def client_keys(options: argparse.Namespace, publishers: int) -> Sequence[ClientKeys | None]:
    """Return the keys to connect to each of so many publishers with.

    Raises:
        ConfigurationError: If they do not fit together, or cannot be read.
    """
    from lowlat_nodes.transport.zmq.curve import load_client_keys

    servers = options.server_key
    if bool(options.key_file) != bool(servers):
        raise ConfigurationError("expected --key and --server-key together, or neither of them")
    if not servers:
        return [None] * publishers
    if len(servers) not in (1, publishers):
        raise ConfigurationError(
            f"expected one --server-key, or one for each of {publishers} publishers; got {len(servers)}"
        )
    loaded = [load_client_keys(options.key_file, server) for server in servers]
    return loaded if len(loaded) == publishers else loaded * publishers


def server_keys(options: argparse.Namespace) -> ServerKeys | None:
    """Return the keys to publish with, None for none.

    Raises:
        ConfigurationError: If they do not fit together, or cannot be read.
    """
    from lowlat_nodes.transport.zmq.curve import load_server_keys

    if options.allow and not options.key_file:
        raise ConfigurationError("expected --key with --allow")
    return load_server_keys(options.key_file, options.allow) if options.key_file else None
