# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages of openpi's WebSocket protocol: msgpack, with arrays as maps of four keys.

Array: `{b"__ndarray__": true, b"data": bin, b"dtype": str, b"shape": [int]}`. Number with a NumPy type:
`{b"__npgeneric__": true, b"data": number, b"dtype": str}`. The marks are bin, all other keys text.

The conversation over the socket: the server speaks first and says what it is (a map, often empty). Then each
binary message of the client is an observation, and the server's next one the answer to it; it holds `actions`
float [horizon, width], and what took how long. A text message of the server says why it failed; after it, it
closes with code 1011. Clients may send `Authorization: Api-Key TOKEN`. Defined by the source of Physical
Intelligence's openpi: `openpi_client.msgpack_numpy`, `openpi.serving.websocket_policy_server`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

import msgpack
import numpy as np

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.arrays import (
    DTYPES,
    MAX_MESSAGE,
    WireError,
    content,
    decode_array,
    encodable,
    unpack,
)

_DEFAULT_PORT = 8000
AUTHORIZATION = "Authorization"
HEALTH_PATH = "/healthz"

_ARRAY, _NUMBER = b"__ndarray__", b"__npgeneric__"
_DATA, _DTYPE, _SHAPE = b"data", b"dtype", b"shape"
_ARRAY_KEYS = frozenset({_ARRAY, _DATA, _DTYPE, _SHAPE})
_NUMBER_KEYS = frozenset({_NUMBER, _DATA, _DTYPE})


def encode(message: Mapping[str, Any]) -> bytes:
    """Return a message of plain data as bytes.

    Raises:
        WireError: If it holds something that has no form on the wire.
    """
    try:
        data: bytes = msgpack.packb(message, default=_encode_array)
    except (TypeError, ValueError, OverflowError) as error:
        raise WireError(f"expected plain data to send: {error}") from error
    return data


def decode(data: bytes, *, max_bytes: int = MAX_MESSAGE) -> dict[str, Any]:
    """Return a message as plain data; its arrays share its memory and cannot be written to.

    Raises:
        WireError: If it is no map, malformed, or exceeds the limits of `arrays`.
    """
    message = unpack(data, object_hook=_decode_array, max_bytes=max_bytes)
    if not isinstance(message, dict):
        raise WireError(f"expected a map, got {type(message).__name__}")
    return message


def split_address(address: str) -> SplitResult:
    """Return the parts of `ws://host:port`, `wss://host:port` or `host:port`; the port is 8000 if not given.

    Raises:
        ConfigurationError: If it is anything else.
    """
    try:
        parts = urlsplit(address if "://" in address else f"ws://{address}")
        port = _DEFAULT_PORT if parts.port is None else parts.port
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in ("ws", "wss") or not parts.hostname or "@" in parts.netloc or parts.query:
        raise ConfigurationError(
            f"policy server: expected an address such as ws://127.0.0.1:{_DEFAULT_PORT}, got {address!r}"
        )
    return parts._replace(netloc=netloc(parts.hostname, port))


def netloc(host: str, port: int) -> str:
    """Return host and port as an address has them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def api_key(token: str) -> str:
    """Return the value of the header that carries the token."""
    return f"Api-Key {token}"


def _encode_array(value: Any) -> dict[bytes, Any]:
    if isinstance(value, np.ndarray):
        array = encodable(value)
        return {
            _ARRAY: True,
            _DATA: content(array),
            _DTYPE: array.dtype.str,
            _SHAPE: array.shape,
        }
    if isinstance(value, np.generic):
        number = encodable(np.asarray(value))
        return {_NUMBER: True, _DATA: number.item(), _DTYPE: number.dtype.str}
    raise TypeError(f"got {type(value).__name__}")


def _decode_array(fields: dict[Any, Any]) -> Any:
    if _ARRAY in fields:
        if fields.keys() != _ARRAY_KEYS:
            raise WireError(f"array: expected the keys {sorted(_ARRAY_KEYS)}, got {len(fields)} keys")
        return decode_array(fields[_DTYPE], fields[_SHAPE], fields[_DATA])
    if _NUMBER in fields:
        return _decode_number(fields)
    return fields


def _decode_number(fields: dict[Any, Any]) -> np.generic:
    number, dtype = fields.get(_DATA), fields.get(_DTYPE)
    if fields.keys() != _NUMBER_KEYS or not isinstance(dtype, str) or dtype not in DTYPES:
        raise WireError(
            f"number: expected the keys {sorted(_NUMBER_KEYS)} and a dtype of {', '.join(DTYPES)}"
        )
    kind = DTYPES[dtype]
    expected = {"b": bool, "f": float}.get(kind.kind, int)
    if type(number) is not expected:
        raise WireError(f"number: expected {expected.__name__} for {dtype}, got {type(number).__name__}")
    if expected is int and not np.iinfo(kind).min <= number <= np.iinfo(kind).max:
        raise WireError(f"number: {number} does not fit {dtype}")
    with np.errstate(over="ignore"):  # infinity is what becomes of it
        value: np.generic = kind.type(number)
    return value
