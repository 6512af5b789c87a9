# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Schemas of Avro messages, asked for at a Confluent Schema Registry (its API v1, over HTTP)."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request

from lowlat_nodes.stream.errors import ConfigurationError

MOST_BYTES = 1 << 22
"""A longer answer is not read."""


class HttpSchemaRegistry:
    """Asks a registry for schemas by their numbers; keeps nothing.

    Args:
        url: Of the registry, http or https.
        timeout_s: How long to wait for it, in s.

    Raises:
        ConfigurationError: The URL is none.
    """

    def __init__(self, url: str, timeout_s: float = 5.0) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            msg = f"expected the URL of a schema registry, http:// or https://, got {url!r}"
            raise ConfigurationError(msg)
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s

    def __call__(self, number: int) -> bytes:
        """Return the schema of a number, JSON.

        Raises:
            LookupError: The registry has none of that number, or one that is not Avro in one piece.
            OSError: It does not answer in time, or not as a registry does.
        """
        try:
            with urllib.request.urlopen(  # noqa: S310 - the scheme was checked
                f"{self._url}/schemas/ids/{number}", timeout=self._timeout_s
            ) as response:
                text = response.read(MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == http.HTTPStatus.NOT_FOUND:
                raise LookupError("the registry does not have it") from None
            raise
        except http.client.HTTPException as error:
            msg = f"not HTTP: {error!r}"
            raise OSError(msg) from None
        if len(text) > MOST_BYTES:
            msg = f"the registry answers with more than {MOST_BYTES} bytes"
            raise LookupError(msg)
        return _schema(text)


def _schema(text: bytes) -> bytes:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    schema = answer.get("schema") if isinstance(answer, dict) else None
    if not isinstance(schema, str):
        msg = f"expected an object with a schema from the registry, got {text[:60]!r}"
        raise OSError(msg)
    if answer.get("schemaType", "AVRO") != "AVRO" or answer.get("references"):
        msg = "expected an Avro schema without references; the registry has another kind"
        raise LookupError(msg)
    return schema.encode()
