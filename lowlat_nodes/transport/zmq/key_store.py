# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The folder of a user's keys: pairs by name, and for each of them the public keys of who may connect.

`NAME.key` is a public key, of ours or of a server elsewhere; `NAME.key_secret` holds both keys, mode 0600;
`allowed/NAME/` holds the public keys of the clients that the server NAME lets in.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.zmq.certificates import KEY, PUBLIC, SECRET, certificate, read_certificate
from lowlat_nodes.transport.zmq.private_files import create_private, make_private_folder

FOLDER_VARIABLE = "LOWLAT_KEYS"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}\Z")
_ALLOWED = "allowed"


@dataclass(frozen=True)
class StoredKey:
    """A public key and what is wrong with its file, empty for nothing."""

    name: str
    public: str
    problem: str = ""


@dataclass(frozen=True)
class StoredPair:
    """A pair of ours: who may connect to the server that proves itself with it, and what is wrong."""

    name: str
    public: str
    clients: tuple[StoredKey, ...] = ()
    problem: str = ""


def default_folder() -> Path:
    """Return $LOWLAT_KEYS, or lowlat/keys where the user's configuration is."""
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given).expanduser()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    return config / "lowlat" / "keys"


def _check_name(name: str) -> str:
    """Return a name of keys if it is one.

    Raises:
        ConfigurationError: If it is not.
    """
    if not _NAME.match(name) or name.endswith((PUBLIC, SECRET)):
        raise ConfigurationError(
            f"expected a name of up to 32 letters, digits and _ . - that begins with a letter or digit, "
            f"got {name!r}"
        )
    return name


def is_key(text: str) -> bool:
    """Return whether settings mean a public key by this text; the path of a file may look like one."""
    return bool(KEY.match(text)) and not Path(text).is_file()


def is_path(text: str) -> bool:
    """Return whether settings mean a file by this text, and neither a key nor a name in the store."""
    return not is_key(text) and ("/" in text or text.startswith("~") or text.endswith((PUBLIC, SECRET)))


class KeyStore:
    """Keys in a folder; files are created or exchanged as a whole, so that a running server reads no half.

    Args:
        folder: Where; None is `default_folder`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_folder()

    def public_file(self, name: str) -> Path:
        """Return the path of a public key."""
        return self.folder / f"{_check_name(name)}{PUBLIC}"

    def secret_file(self, name: str) -> Path:
        """Return the path of a secret key."""
        return self.folder / f"{_check_name(name)}{SECRET}"

    def allowed_folder(self, name: str) -> Path:
        """Return the folder of the public keys that may connect to a server of ours."""
        return self.folder / _ALLOWED / _check_name(name)

    def add_pair(self, name: str, public: str, secret: str) -> None:
        """Keep a new pair.

        Raises:
            ConfigurationError: If there are keys of that name, or they cannot be written.
        """
        self._refuse_known(name)
        make_private_folder(self.folder)
        make_private_folder(self.folder / _ALLOWED)
        make_private_folder(self.allowed_folder(name))
        self._create(self.secret_file(name), certificate(name, public, secret))
        self._create(self.public_file(name), certificate(name, public), 0o644)

    def add_public(self, name: str, public: str) -> None:
        """Keep the public key of a server elsewhere.

        Raises:
            ConfigurationError: If there are keys of that name, or it cannot be written.
        """
        self._refuse_known(name)
        make_private_folder(self.folder)
        self._create(self.public_file(name), certificate(name, public), 0o644)

    def allow(self, node: str, public: str, name: str) -> None:
        """Let a client connect to a server of ours; a running one sees it at the next handshake.

        Raises:
            ConfigurationError: If there is no such server, the name stands for another key, or it cannot be
                written.
        """
        folder = self._need_pair(node)
        make_private_folder(folder)
        file = folder / f"{_check_name(name)}{PUBLIC}"
        if file.exists():
            if read_certificate(file)[0] == public:
                return
            raise ConfigurationError(
                f"{node} allows another key as {name!r}; give this one another name, or deny that one first"
            )
        # Under another name first: a server must not read half a file.
        draft = folder / f".{name}.{secrets.token_hex(4)}"
        self._create(draft, certificate(name, public), 0o644)
        try:
            draft.rename(file)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise ConfigurationError(f"{file}: cannot be written: {error.strerror}") from error

    def deny(self, node: str, client: str) -> list[str]:
        """Take back what `allow` gave, by the name or the public key; return the names.

        Raises:
            ConfigurationError: If nothing was given, or it cannot be taken back.
        """
        folder = self._need_pair(node)
        gone = []
        for file in sorted(folder.glob(f"*{PUBLIC}")):
            if client and client in (file.stem, _public_of(file).public):
                try:
                    file.unlink()
                except OSError as error:
                    raise ConfigurationError(
                        f"{file}: cannot be removed, {client!r} may still connect: {error.strerror}"
                    ) from error
                gone.append(file.stem)
        if not gone:
            allowed = ", ".join(key.name for key in _keys_in(folder)) or "nobody"
            raise ConfigurationError(f"{node} does not allow {client!r}; it allows {allowed}")
        return gone

    def pairs(self) -> list[StoredPair]:
        """Return the pairs with their clients; broken files too, with what is wrong."""
        found = []
        for file in sorted(self.folder.glob(f"*{SECRET}")):
            name, public, problem = file.name.removesuffix(SECRET), "", ""
            try:
                _check_name(name)
                public, secret = read_certificate(file)
                problem = "" if secret else f"{file}: holds no secret key"
            except ConfigurationError as error:
                problem = str(error)
            clients = tuple(_keys_in(self.folder / _ALLOWED / name))
            found.append(StoredPair(name, public, clients, problem))
        return found

    def known(self) -> list[StoredKey]:
        """Return the public keys that are not of ours."""
        return [key for key in _keys_in(self.folder) if not (self.folder / f"{key.name}{SECRET}").exists()]

    def public(self, text: str) -> str:
        """Return the public key that a text stands for: itself, a name in the store, or a file.

        Raises:
            ConfigurationError: If it is none of them.
        """
        if is_key(text):
            return text
        if is_path(text):
            return read_certificate(Path(text).expanduser())[0]
        file = self.public_file(text)
        if not file.exists():
            raise ConfigurationError(
                f"there is no key {text!r} in {self.folder}; expected a name there, a public key or its "
                f"file; lowlat keys list shows the names, lowlat keys add {text} PUBLIC_KEY adds a server's"
            )
        return read_certificate(file)[0]

    def secret_path(self, text: str) -> Path:
        """Return the file of the secret key that a text stands for: a name in the store, or a file.

        Raises:
            ConfigurationError: If it is neither.
        """
        if is_path(text):
            return Path(text).expanduser()
        file = self.secret_file(text)
        if not file.exists():
            raise ConfigurationError(
                f"there is no key {text!r} in {self.folder}; lowlat keys new {text} makes one"
            )
        return file

    def _refuse_known(self, name: str) -> None:
        for file in (self.secret_file(name), self.public_file(name)):
            if file.exists():
                raise ConfigurationError(
                    f"there are keys {name!r} already: {file}; take another name, or remove them first"
                )

    def _need_pair(self, node: str) -> Path:
        if not self.secret_file(node).exists():
            names = ", ".join(pair.name for pair in self.pairs()) or "none"
            raise ConfigurationError(
                f"there is no key pair {node!r} in {self.folder}, there are: {names}; lowlat keys new {node} "
                f"makes one"
            )
        return self.allowed_folder(node)

    @staticmethod
    def _create(path: Path, content: bytes, mode: int = 0o600) -> None:
        try:
            create_private(path, content, mode)
        except OSError as error:
            raise ConfigurationError(f"{path}: cannot be written: {error.strerror}") from error


def name_of(public: str) -> str:
    """Return a name for a key that came without one."""
    return f"key-{hashlib.sha256(public.encode()).hexdigest()[:8]}"


def _keys_in(folder: Path) -> Iterator[StoredKey]:
    with contextlib.suppress(OSError):
        for file in sorted(folder.glob(f"*{PUBLIC}")):
            yield _public_of(file)


def _public_of(file: Path) -> StoredKey:
    try:
        return StoredKey(file.stem, read_certificate(file)[0])
    except ConfigurationError as error:
        return StoredKey(file.stem, "", str(error))
