# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The key store: what is written is for its owner only, and what others could have touched is not read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import zmq.auth

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.zmq.allowed import AllowedKeys
from lowlat_nodes.transport.zmq.curve import load_client_keys, load_pair, load_server_keys, new_pair
from lowlat_nodes.transport.zmq.key_store import KeyStore, default_folder, name_of


def add(store: KeyStore, name: str) -> str:
    """Make a pair and return its public key."""
    pair = new_pair()
    store.add_pair(name, pair.public, pair.secret)
    return pair.public


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyStore:
    monkeypatch.setenv("LOWLAT_KEYS", str(tmp_path / "keys"))
    return KeyStore()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o077])
def test_only_the_owner_can_read_what_is_written(tmp_path: Path, umask: int) -> None:
    store = KeyStore(tmp_path / "config" / "lowlat" / "keys")
    before = os.umask(umask)
    try:
        add(store, "robot")
    finally:
        os.umask(before)
    assert mode(store.secret_file("robot")) == 0o600
    assert {mode(folder) for folder in (store.folder, store.allowed_folder("robot"))} == {0o700}
    assert load_pair(store.secret_file("robot")).public == store.public("robot")


def test_other_programs_can_read_the_files(store: KeyStore) -> None:
    public = add(store, "robot")
    secret = load_pair(store.secret_file("robot")).secret
    assert zmq.auth.load_certificate(store.secret_file("robot")) == (public.encode(), secret.encode())
    assert zmq.auth.load_certificate(store.public_file("robot")) == (public.encode(), None)


def test_keys_are_never_written_over(store: KeyStore) -> None:
    public = add(store, "robot")
    with pytest.raises(ConfigurationError, match="already"):
        add(store, "robot")
    with pytest.raises(ConfigurationError, match="already"):
        store.add_public("robot", public)
    assert store.public("robot") == public


def test_a_secret_does_not_follow_a_link_that_waits_for_it(store: KeyStore, tmp_path: Path) -> None:
    store.folder.mkdir(mode=0o700)
    store.secret_file("robot").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="File exists"):
        add(store, "robot")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "name", ["", ".hidden", "../up", "a/b", "x" * 33, "robot.key", "a b", "-n", "robot\n"]
)
def test_names_that_are_none_are_refused(store: KeyStore, name: str) -> None:
    with pytest.raises(ConfigurationError, match="expected a name"):
        add(store, name)


def test_settings_name_keys_as_commands_do(store: KeyStore) -> None:
    robot, laptop = add(store, "robot"), add(store, "laptop")
    store.allow("robot", laptop, "laptop")
    server = load_server_keys("robot")
    assert (server.pair.public, server.name) == (robot, "robot")
    assert laptop in AllowedKeys(server.allowed, server.watched)
    for named in ("robot", robot, str(store.public_file("robot"))):
        assert load_client_keys("laptop", named).server == robot
    for named in ("laptop", laptop, str(store.public_file("laptop"))):
        only = load_server_keys("robot", [named])
        allowed = AllowedKeys(only.allowed, only.watched)
        assert laptop in allowed
        assert robot not in allowed


def test_what_is_missing_is_named_with_the_command_that_makes_it(store: KeyStore) -> None:
    with pytest.raises(ConfigurationError, match="lowlat keys new robot"):
        load_server_keys("robot")
    add(store, "robot")
    with pytest.raises(ConfigurationError, match="lowlat keys add laptop"):
        load_server_keys("robot", ["laptop"])
    with pytest.raises(ConfigurationError, match="lowlat keys new arm"):
        store.allow("arm", new_pair().public, "laptop")
    with pytest.raises(ConfigurationError, match="at least one client"):
        load_server_keys(str(store.secret_file("robot")))


def test_a_key_is_allowed_and_taken_back(store: KeyStore) -> None:
    add(store, "robot")
    first, second = new_pair().public, new_pair().public
    store.allow("robot", first, "laptop")
    store.allow("robot", first, "laptop")
    with pytest.raises(ConfigurationError, match="another key as 'laptop'"):
        store.allow("robot", second, "laptop")
    store.allow("robot", second, name_of(second))
    assert [client.public for client in store.pairs()[0].clients].count(first) == 1
    assert store.deny("robot", "laptop") == ["laptop"]
    assert store.deny("robot", second) == [name_of(second)]
    with pytest.raises(ConfigurationError, match="it allows nobody"):
        store.deny("robot", "laptop")


def test_running_servers_see_what_was_allowed_and_taken_back(store: KeyStore) -> None:
    add(store, "robot")
    keys = load_server_keys("robot")
    allowed = AllowedKeys(keys.allowed, keys.watched)
    laptop = new_pair().public
    store.allow("robot", laptop, "laptop")
    assert allowed.refresh() == frozenset()
    assert laptop in allowed
    store.deny("robot", "laptop")
    assert allowed.refresh() == {laptop}
    assert laptop not in allowed


def test_a_key_that_others_could_have_put_there_is_left_out(store: KeyStore) -> None:
    add(store, "robot")
    laptop = new_pair().public
    store.allow("robot", laptop, "laptop")
    folder = store.allowed_folder("robot")
    allowed = AllowedKeys(frozenset(), [folder])
    assert laptop in allowed
    (folder / "laptop.key").chmod(0o666)
    assert allowed.refresh() == {laptop}
    assert "others may write" in allowed.problems[0]
    (folder / "laptop.key").write_text("rubbish")
    (folder / "laptop.key").chmod(0o600)
    allowed.refresh()
    assert "cannot read a certificate" in allowed.problems[0]


@pytest.mark.parametrize("which", ["file", "folder", "above"])
def test_secrets_that_others_could_exchange_are_refused(store: KeyStore, which: str) -> None:
    add(store, "robot")
    file = store.secret_file("robot")
    (path, remedy) = {
        "file": (file, "chmod 600"),
        "folder": (store.folder, f"chmod go-w {store.folder}"),
        "above": (store.folder.parent, f"chmod go-w {store.folder.parent}"),
    }[which]
    path.chmod(mode(path) | 0o020)
    with pytest.raises(ConfigurationError, match=remedy):
        load_pair(file)
    assert remedy in store.pairs()[0].problem


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("which", ["file", "folder"])
def test_secrets_of_others_are_refused(store: KeyStore, which: str) -> None:
    add(store, "robot")
    os.chown(store.secret_file("robot") if which == "file" else store.folder, 12345, -1)
    with pytest.raises(ConfigurationError, match="belongs to uid 12345"):
        load_pair(store.secret_file("robot"))


def test_keys_that_do_not_belong_together_are_refused(store: KeyStore) -> None:
    add(store, "robot")
    file = store.secret_file("robot")
    file.write_text(file.read_text().replace(store.public("robot"), new_pair().public))
    with pytest.raises(ConfigurationError, match="not that of its secret key"):
        load_pair(file)


@pytest.mark.parametrize("kind", ["pipe", "folder", "large"])
def test_what_is_no_key_file_is_refused(store: KeyStore, kind: str) -> None:
    store.folder.mkdir(mode=0o700)
    file = store.secret_file("robot")
    if kind == "pipe":
        os.mkfifo(file, 0o600)
    elif kind == "folder":
        file.mkdir(mode=0o700)
    else:
        file.write_bytes(bytes(100_000))
    with pytest.raises(ConfigurationError, match=r"expected|a directory"):
        load_pair(file)


def test_the_store_is_where_configuration_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOWLAT_KEYS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", "/etc/xdg")
    assert default_folder() == Path("/etc/xdg/lowlat/keys")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert default_folder() == Path.home() / ".config/lowlat/keys"


def test_a_folder_in_the_place_of_a_key_is_refused_and_leaves_no_descriptor_open(store: KeyStore) -> None:
    add(store, "robot")
    before = len(list(Path("/proc/self/fd").iterdir()))
    store.secret_file("robot").unlink()
    store.secret_file("robot").mkdir()
    with pytest.raises(ConfigurationError, match="expected a file"):
        load_pair(store.secret_file("robot"))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_permission_that_cannot_be_taken_back_is_said(store: KeyStore) -> None:
    add(store, "robot")
    stuck = store.allowed_folder("robot") / "laptop.key"
    stuck.mkdir()  # what cannot be unlinked, whoever tests this
    with pytest.raises(ConfigurationError, match="'laptop' may still connect: Is a directory"):
        store.deny("robot", "laptop")
