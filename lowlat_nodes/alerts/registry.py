# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Schemas that packets only name: by number in the Confluent wire format, formerly by a word at FINK."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from lowlat_nodes.alerts.avro.schema import MAX_BYTES
from lowlat_nodes.stream.clock import Clock, SteadyClock
from lowlat_nodes.stream.errors import ConfigurationError, LowlatError

MOST_MISSING = 1024
"""Numbers that are remembered as unknown."""

_NUMBER = re.compile(r"\d+\Z")
_VERSION = re.compile(r"(?:^|[._-]|v)(\d+)_(\d+)(?=[._-]|$)")

Fetch = Callable[[int], bytes]
"""Returns the schema of a number; raises LookupError where there is none, OSError where nobody answers."""


class UnknownSchema(LowlatError):
    """Nobody knows the schema that a packet names."""


class SchemaRegistry:
    """Finds schemas in a folder, then by asking, and keeps what it found.

    A file holds one schema (.avsc or .json). Its name is the number (`900.avsc`), or has the version in it,
    as in `9_0.avsc` or `lsst.v9_0.alert.avsc`, whose number is 100 times the major and the minor; a schema
    that is named by a word lies in the file of that name.

    Args:
        folder: Where schemas lie; files may be added at any time.
        fetch: Asks for a number, as `transport.schema_registry` does.
        retry_s: What was not found is not looked for again within so many seconds, and when nobody answered,
            nothing is.
        clock: Tells when that is over.

    Raises:
        ConfigurationError: There is no such folder.
    """

    def __init__(
        self,
        folder: Path | None = None,
        fetch: Fetch | None = None,
        retry_s: float = 60.0,
        clock: Clock | None = None,
    ) -> None:
        if folder is not None and not folder.is_dir():
            msg = f"expected a folder of schemas; {folder} is none"
            raise ConfigurationError(msg)
        self._folder = folder
        self._fetch = fetch
        self._retry_ns = int(retry_s * 1e9)
        self._clock = clock or SteadyClock()
        self._files: dict[int | bytes, Path] = {}
        self._listed_until_ns = self._silent_until_ns = self._clock.now_ns()
        self._silence = ""
        self._missing: OrderedDict[int, tuple[int, str]] = OrderedDict()

    def by_number(self, number: int) -> bytes:
        """Return the schema of a number.

        Raises:
            UnknownSchema: It is not in the folder, and asking for it did not help either.
        """
        text = self._from_file(number)
        return self._ask(number) if text is None else text

    def by_name(self, name: bytes) -> bytes | None:
        """Return the schema of a name, None where the folder has none.

        Raises:
            UnknownSchema: The folder cannot be read, or the file.
        """
        return self._from_file(name)

    def _from_file(self, name: int | bytes) -> bytes | None:
        if self._folder is None:
            return None
        path = self._files.get(name)
        if path is None and self._clock.now_ns() >= self._listed_until_ns:
            self._list(self._folder)
            path = self._files.get(name)
        if path is None:
            return None
        try:
            with path.open("rb") as file:
                text = file.read(MAX_BYTES + 1)
        except OSError as error:
            msg = f"the schema {path} cannot be read: {error}"
            raise UnknownSchema(msg) from None
        if len(text) > MAX_BYTES:
            msg = f"expected a schema of up to {MAX_BYTES} bytes; {path} has more"
            raise UnknownSchema(msg)
        return text

    def _list(self, folder: Path) -> None:
        self._listed_until_ns = self._clock.now_ns() + self._retry_ns
        try:
            paths = sorted(folder.iterdir())
        except OSError as error:
            msg = f"the folder of schemas {folder} cannot be read: {error.strerror or error}"
            raise UnknownSchema(msg) from None
        self._files = {}
        for path in paths:
            if path.suffix in {".avsc", ".json"}:
                self._files[path.stem.encode()] = path
                number = _number(path.stem)
                if number is not None:
                    self._files[number] = path

    def _ask(self, number: int) -> bytes:
        now_ns = self._clock.now_ns()
        until_ns, reason = self._missing.get(number, (0, ""))
        if now_ns < until_ns:
            raise UnknownSchema(reason)
        if self._fetch is None:
            msg = (
                f"unknown schema {number}: no file has it, and no registry is set; put {number}.avsc into "
                "schemas.folder, or set schemas.registry"
            )
            raise UnknownSchema(msg)
        if now_ns < self._silent_until_ns:
            raise UnknownSchema(self._silence)
        try:
            return self._fetch(number)
        except LookupError as error:
            reason = f"unknown schema {number}: {error.args[0] if error.args else 'not in the registry'}"
            self._missing.pop(number, None)
            self._missing[number] = (now_ns + self._retry_ns, reason)
            if len(self._missing) > MOST_MISSING:
                self._missing.popitem(last=False)
            raise UnknownSchema(reason) from None
        except OSError as error:
            # The time that passed counts: a registry that lets us wait must not be asked for each packet.
            self._silent_until_ns = self._clock.now_ns() + self._retry_ns
            self._silence = f"unknown schema, as the registry does not answer: {error}"
            raise UnknownSchema(self._silence) from None


def _number(stem: str) -> int | None:
    if _NUMBER.match(stem):
        return int(stem)
    found = _VERSION.search(stem)
    return 100 * int(found[1]) + int(found[2]) if found else None
