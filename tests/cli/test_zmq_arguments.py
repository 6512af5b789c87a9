# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishers, topics and keys as users write them."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from lowlat_nodes.cli.zmq_arguments import add_client_keys, add_server_keys, client_keys, place, server_keys
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.zmq.curve import KeyPair, new_pair
from lowlat_nodes.transport.zmq.key_store import KeyStore


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, KeyPair]:
    monkeypatch.setenv("LOWLAT_KEYS", str(tmp_path / "keys"))
    found = {name: new_pair() for name in ("laptop", "robot", "arm")}
    for name, pair in found.items():
        KeyStore().add_pair(name, pair.public, pair.secret)
    return found


def client(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_client_keys(parser)
    return parser.parse_args(arguments)


def server(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_server_keys(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize(
    ("text", "endpoint", "topics"),
    [
        ("tcp://127.0.0.1:5557", "tcp://127.0.0.1:5557", ()),
        ("ipc://camera,image", "ipc://camera", ("image",)),
        ("tcp://[::1]:5557,a/b,c d", "tcp://[::1]:5557", ("a/b", "c d")),
    ],
)
def test_an_endpoint_with_topics(text: str, endpoint: str, topics: tuple[str, ...]) -> None:
    assert place(text) == (endpoint, topics)


@pytest.mark.parametrize("text", ["", ",a", "ipc://x,", "ipc://x,,a"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected ENDPOINT"):
        place(text)


def test_without_keys_connections_are_in_the_clear() -> None:
    assert client_keys(client(), 2) == [None, None]
    assert server_keys(server()) is None


def test_one_server_key_is_for_all_and_several_are_in_order(pairs: dict[str, KeyPair]) -> None:
    one = client_keys(client("--key", "laptop", "--server-key", "robot"), 2)
    assert [keys and keys.server for keys in one] == [pairs["robot"].public] * 2
    each = client_keys(client("--key", "laptop", "--server-key", "robot", "--server-key", "arm"), 2)
    assert [keys and keys.server for keys in each] == [pairs["robot"].public, pairs["arm"].public]
    assert [keys and keys.pair for keys in each] == [pairs["laptop"]] * 2


def test_a_server_lets_in_whom_it_is_told(pairs: dict[str, KeyPair]) -> None:
    keys = server_keys(server("--key", "robot", "--allow", pairs["laptop"].public))
    assert keys is not None
    assert (keys.pair, keys.allowed) == (pairs["robot"], {pairs["laptop"].public})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--key", "laptop"], "expected --key and --server-key together"),
        (["--server-key", "robot"], "expected --key and --server-key together"),
        (
            ["--key", "laptop", "--server-key", "robot", "--server-key", "arm"],
            "one for each of 3 publishers; got 2",
        ),
        (["--key", "nobody", "--server-key", "robot"], "nobody"),
    ],
)
def test_keys_that_do_not_fit_are_refused(
    pairs: dict[str, KeyPair], arguments: list[str], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        client_keys(client(*arguments), 3)


def test_a_list_of_clients_needs_a_key() -> None:
    with pytest.raises(ConfigurationError, match="expected --key with --allow"):
        server_keys(server("--allow", "laptop"))
