# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Key files and who may come in."""

from __future__ import annotations

from pathlib import Path

import pytest
import zmq.auth
from zmq.utils import z85

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.zmq.allowed import AllowedKeys
from lowlat_nodes.transport.zmq.curve import (
    ClientKeys,
    KeyPair,
    ServerKeys,
    answer_zap,
    load_client_keys,
    load_pair,
    load_server_keys,
    new_pair,
)


def certificate(folder: Path, mode: int = 0o600) -> tuple[Path, Path]:
    """Return a public and a secret certificate."""
    public, secret = map(Path, zmq.auth.create_certificates(folder, "robot"))
    secret.chmod(mode)
    return public, secret


def test_certificates_of_pyzmq_are_read(tmp_path: Path) -> None:
    public, secret = certificate(tmp_path)
    pair = load_pair(secret)
    assert zmq.auth.load_certificate(secret) == (pair.public.encode(), pair.secret.encode())
    assert load_client_keys(str(secret), str(public)) == ClientKeys(pair, pair.public)
    for source in (public, tmp_path):
        keys = load_server_keys(str(secret), [str(source)])
        assert (keys.pair, keys.watched) == (pair, (source,))
        assert pair.public in AllowedKeys(keys.allowed, keys.watched)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_secret_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    _, secret = certificate(tmp_path, mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        load_pair(secret)


def test_a_public_certificate_is_no_pair(tmp_path: Path) -> None:
    public, _ = certificate(tmp_path)
    with pytest.raises(ConfigurationError, match="public key only"):
        load_pair(public)


def test_files_that_are_no_certificates_are_refused(tmp_path: Path) -> None:
    _, secret = certificate(tmp_path)
    (tmp_path / "text").write_text("hello\n")
    for path in (tmp_path / "text", tmp_path / "missing"):
        with pytest.raises(ConfigurationError, match="cannot"):
            load_pair(path)
        with pytest.raises(ConfigurationError, match="cannot"):
            load_server_keys(str(secret), [str(path)])


@pytest.mark.parametrize("key", ["", "short", "x" * 41, "ä" * 40, "x" * 39 + "\n"])
def test_what_is_no_key_is_refused(key: str) -> None:
    pair = new_pair()
    for made in (
        lambda: KeyPair(key, pair.secret),
        lambda: KeyPair(pair.public, key),
        lambda: ServerKeys(pair, frozenset({key})),
        lambda: ClientKeys(pair, key),
    ):
        with pytest.raises(ConfigurationError, match="40 characters of Z85"):
            made()


def test_a_secret_is_not_shown() -> None:
    pair = new_pair()
    assert pair.secret not in repr(ServerKeys(pair, frozenset()))


def request(
    key: bytes, *, version: bytes = b"1.0", domain: bytes = b"lowlat", mechanism: bytes = b"CURVE"
) -> list[bytes]:
    return [version, b"7", domain, b"127.0.0.1", b"", mechanism, key]


def test_a_key_that_is_allowed_comes_in() -> None:
    pair = new_pair()
    reply, known = answer_zap(request(z85.decode(pair.public)), frozenset({pair.public}))
    assert known
    assert reply == [b"1.0", b"7", b"200", b"OK", pair.public.encode(), b""]


@pytest.mark.parametrize(
    "changes",
    [{"version": b"2.0"}, {"domain": b""}, {"mechanism": b"NULL"}, {"mechanism": b"PLAIN"}],
    ids=str,
)
def test_whatever_is_not_exactly_that_stays_out(changes: dict[str, bytes]) -> None:
    pair = new_pair()
    reply, known = answer_zap(request(z85.decode(pair.public), **changes), frozenset({pair.public}))
    assert not known
    assert reply[1:3] == [b"7", b"400"]


def test_another_key_stays_out() -> None:
    pair = new_pair()
    for key in (z85.decode(new_pair().public), z85.decode(pair.public)[:31], b""):
        assert not answer_zap(request(key), frozenset({pair.public}))[1]
    assert not answer_zap(request(b"")[:-1], frozenset({pair.public}))[1]
