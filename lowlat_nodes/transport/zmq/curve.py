# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Keys of CURVE (ZeroMQ RFC 26) and who may connect with which (ZAP, RFC 27).

CURVE alone proves the server to its clients and lets every client in; only a ZAP handler looks at their keys.
Every server that we secure has one, and a domain that libzmq lets nobody into without it.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import zmq
import zmq.auth
from zmq.utils import z85

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.zmq.endpoint import is_local

ZAP_ENDPOINT = "inproc://zeromq.zap.01"
ZAP_VERSION = b"1.0"
ZAP_DOMAIN = b"lowlat"

_KEY = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}\Z")


@dataclass(frozen=True)
class KeyPair:
    """A public and a secret key, each 40 characters of Z85 (ZeroMQ RFC 32)."""

    public: str
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        for name, key in (("public", self.public), ("secret", self.secret)):
            _check(f"{name} key", key)


@dataclass(frozen=True)
class ServerKeys:
    """What a server proves itself with, and the public keys of the clients that it lets in."""

    pair: KeyPair
    allowed: frozenset[str]

    def __post_init__(self) -> None:
        for key in self.allowed:
            _check("allowed key", key)


@dataclass(frozen=True)
class ClientKeys:
    """What a client proves itself with, and the public key that the server must have."""

    pair: KeyPair
    server: str

    def __post_init__(self) -> None:
        _check("server key", self.server)


def new_pair() -> KeyPair:
    """Return a new pair of keys."""
    public, secret = zmq.curve_keypair()
    return KeyPair(public.decode(), secret.decode())


def load_pair(path: Path) -> KeyPair:
    """Return the keys of a secret certificate as czmq and pyzmq write it.

    Raises:
        ConfigurationError: If it is no such file, or others may read it.
    """
    public, secret = _load(path)
    if not secret:
        raise ConfigurationError(f"{path}: expected a secret certificate, this holds a public key only")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError(
            f"{path}: expected a secret key that only its owner can read, its mode is {mode:04o}; run chmod "
            f"600, or make new keys if others have been there"
        )
    return KeyPair(public, secret)


def load_client_keys(own: str, server: str) -> ClientKeys:
    """Return a client's keys from its secret certificate and the server's public one.

    Raises:
        ConfigurationError: If a file is no such certificate, or others may read the secret.
    """
    return ClientKeys(load_pair(Path(own).expanduser()), _load(Path(server).expanduser())[0])


def load_server_keys(own: str, allowed: Iterable[str]) -> ServerKeys:
    """Return a server's keys from its secret certificate and its clients' public ones, files or folders.

    Raises:
        ConfigurationError: If a file is no such certificate, or others may read the secret.
    """
    paths = [Path(path).expanduser() for path in allowed]
    files = [file for path in paths for file in (sorted(path.glob("*.key")) if path.is_dir() else [path])]
    return ServerKeys(load_pair(Path(own).expanduser()), frozenset(_load(file)[0] for file in files))


def check_exposure(endpoint: str, keys: ServerKeys | None, *, options: str = "") -> None:
    """Let a server listen in the clear only where no other machine can reach it.

    Args:
        endpoint: Where it is to listen.
        keys: None for no keys.
        options: Where the user gives keys, for the messages.

    Raises:
        ConfigurationError: If one could, or if the keys let nobody in.
    """
    where = f" ({options})" if options else ""
    if keys is None and not is_local(endpoint):
        raise ConfigurationError(
            f"{endpoint}: other machines can reach this address, and nothing would keep strangers out; "
            f"listen at tcp://127.0.0.1 or ipc://, or give the server's keys and those of its clients"
            f"{where}"
        )
    if keys is not None and not keys.allowed:
        raise ConfigurationError(f"expected the public key of at least one client that may come in{where}")


def secure_server(socket: zmq.Socket[bytes], keys: ServerKeys) -> None:
    """Let only CURVE clients in, by the leave of the ZAP handler of the socket's context."""
    socket.curve_server = True
    socket.curve_publickey = keys.pair.public.encode()
    socket.curve_secretkey = keys.pair.secret.encode()
    socket.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN)
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)


def secure_client(socket: zmq.Socket[bytes], keys: ClientKeys) -> None:
    """Connect to the server of that key only."""
    socket.curve_serverkey = keys.server.encode()
    socket.curve_publickey = keys.pair.public.encode()
    socket.curve_secretkey = keys.pair.secret.encode()


def answer_zap(request: list[bytes], allowed: frozenset[str]) -> tuple[list[bytes], bool]:
    """Return the reply to a ZAP request, and whether the client may come in."""
    version, number, domain, _address, _identity, mechanism, *credentials = request
    known = (
        version == ZAP_VERSION
        and domain == ZAP_DOMAIN
        and mechanism == b"CURVE"
        and len(credentials) == 1
        and len(credentials[0]) == 32
        and z85.encode(credentials[0]).decode() in allowed
    )
    status, text = (b"200", b"OK") if known else (b"400", b"key not allowed")
    return [ZAP_VERSION, number, status, text, b"", b""], known


def _load(path: Path) -> tuple[str, str]:
    """Return public and secret key of a certificate, the latter empty where there is none."""
    try:
        public, secret = zmq.auth.load_certificate(path)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: cannot read a certificate: {error}") from error
    return public.decode(), (secret or b"").decode()


def _check(name: str, key: str) -> None:
    if not _KEY.match(key):
        raise ConfigurationError(f"{name}: expected 40 characters of Z85, got {len(key)} characters")
