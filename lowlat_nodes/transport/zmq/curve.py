# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Keys of CURVE (ZeroMQ RFC 26) and who may connect with which (ZAP, RFC 27).

CURVE alone proves the server to its clients and lets every client in; only a ZAP handler looks at their keys.
Every server that we secure has one, and a domain that libzmq lets nobody into without it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import zmq
from zmq.utils import z85

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.zmq.allowed import key_files
from lowlat_nodes.transport.zmq.certificates import KEY, read_certificate
from lowlat_nodes.transport.zmq.endpoint import is_local
from lowlat_nodes.transport.zmq.key_store import KeyStore, is_key, is_path

ZAP_ENDPOINT = "inproc://zeromq.zap.01"
"""Where libzmq asks whether a client may come in (ZeroMQ RFC 27)."""

_ZAP_VERSION = b"1.0"
_ZAP_DOMAIN = b"lowlat"


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
    """What a server proves itself with, and the public keys of the clients that it lets in.

    Attributes:
        pair: Of the server.
        allowed: Of clients.
        watched: Files and folders of public keys of clients, read again when they change.
        name: Of the pair in the key store, empty for none.
    """

    pair: KeyPair
    allowed: frozenset[str]
    watched: tuple[Path, ...] = field(default=(), compare=False)
    name: str = field(default="", compare=False)

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
    """Return a new pair of keys, of which the public one does not look like an option of a command."""
    while True:
        public, secret = (key.decode() for key in zmq.curve_keypair())
        if not public.startswith("-"):
            return KeyPair(public, secret)


def load_pair(path: Path) -> KeyPair:
    """Return the keys of a secret certificate as czmq and pyzmq write it.

    Raises:
        ConfigurationError: If it is no such file, or others may read or exchange it.
    """
    public, secret = read_certificate(path)
    if not secret:
        raise ConfigurationError(f"{path}: expected a secret certificate, this holds a public key only")
    if zmq.curve_public(secret.encode()).decode() != public:
        raise ConfigurationError(f"{path}: its public key is not that of its secret key; make new ones")
    return KeyPair(public, secret)


def load_client_keys(own: str, server: str) -> ClientKeys:
    """Return a client's keys.

    Args:
        own: Its pair: a name in the key store, or a secret certificate.
        server: The server's public key, a name in the key store, or a public certificate.

    Raises:
        ConfigurationError: If there are no such keys, or others may read the secret.
    """
    store = KeyStore()
    return ClientKeys(load_pair(store.secret_path(own)), store.public(server))


def load_server_keys(own: str, allowed: Iterable[str] = ()) -> ServerKeys:
    """Return a server's keys.

    Args:
        own: Its pair: a name in the key store, or a secret certificate.
        allowed: Who may come in: public keys, names in the key store, public certificates or folders of them;
            empty for those that `lowlat keys allow` has let in.

    Raises:
        ConfigurationError: If there are no such keys, or others may read the secret or let somebody in.
    """
    store = KeyStore()
    pair = load_pair(store.secret_path(own))
    name = "" if is_path(own) else own
    fixed, watched = set(), []
    for client in allowed:
        if is_path(client):
            watched.append(Path(client).expanduser())
        elif is_key(client):
            fixed.add(client)
        else:
            store.public(client)
            watched.append(store.public_file(client))
    if fixed or watched:
        for file in key_files(watched):
            read_certificate(file)
    elif name:
        watched.append(store.allowed_folder(name))
    else:
        raise ConfigurationError(
            f"expected the public key of at least one client that may come in beside {own}"
        )
    return ServerKeys(pair, frozenset(fixed), tuple(watched), name)


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
            f"listen at tcp://127.0.0.1 or ipc://, or give the server a key{where}: lowlat keys new NAME, "
            f"then lowlat keys allow NAME PUBLIC_KEY for each client (docs/security.md)"
        )
    if keys is not None and not keys.allowed and not keys.watched:
        raise ConfigurationError(f"expected the public key of at least one client that may come in{where}")


def secure_server(socket: zmq.Socket[bytes], keys: ServerKeys) -> None:
    """Let only CURVE clients in, by the leave of the ZAP handler of the socket's context."""
    socket.curve_server = True
    socket.curve_publickey = keys.pair.public.encode()
    socket.curve_secretkey = keys.pair.secret.encode()
    socket.setsockopt(zmq.ZAP_DOMAIN, _ZAP_DOMAIN)
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)


def secure_client(socket: zmq.Socket[bytes], keys: ClientKeys) -> None:
    """Connect to the server of that key only."""
    socket.curve_serverkey = keys.server.encode()
    socket.curve_publickey = keys.pair.public.encode()
    socket.curve_secretkey = keys.pair.secret.encode()


def answer_zap(request: list[bytes], allowed: Container[str]) -> tuple[list[bytes], bool]:
    """Return the reply to a ZAP request, and whether the client may come in."""
    version, number, domain, *_ = request
    key = zap_key(request)
    known = version == _ZAP_VERSION and domain == _ZAP_DOMAIN and bool(key) and key in allowed
    status, text = (b"200", b"OK") if known else (b"400", b"key not allowed")
    user = key.encode() if known else b""
    return [_ZAP_VERSION, number, status, text, user, b""], known


def zap_key(request: list[bytes]) -> str:
    """Return the public key that a client has proven to have, empty where it has none."""
    _version, _number, _domain, _address, _identity, mechanism, *credentials = request
    if mechanism != b"CURVE" or len(credentials) != 1 or len(credentials[0]) != 32:
        return ""
    return z85.encode(credentials[0]).decode()


def _check(name: str, key: str) -> None:
    if not KEY.match(key):
        raise ConfigurationError(f"{name}: expected 40 characters of Z85, got {len(key)} characters")
