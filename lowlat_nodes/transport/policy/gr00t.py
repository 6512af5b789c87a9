# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages of Isaac-GR00T's ZeroMQ protocol, in both generations.

A message is one msgpack map (a reply may be a list). An array is the map `{"__ndarray_class__": true,
"as_npy": bin}` with the bytes of a .npy file; a modality configuration is `{"__ModalityConfig_class__": true,
"as_json": ...}` with JSON text in N1.5 and a map since N1.6. A request is `{"endpoint": str, "data": map,
"api_token": str}`; without an endpoint it means get_action. An error is the map `{"error": str}`, or in old
servers the five bytes ERROR. The generations differ in the observation and the answer:

* N1.5: flat keys, `video.KEY` uint8 [B, T, H, W, 3], `state.KEY` float [B, T, D], `annotation...` [[str]];
  the answer is a map of `action.KEY` float [B, H, D]. Where state comes without B, so does the answer, and
  without any other axis of length 1.
* N1.6 and later: `{"observation": {"video": {KEY: ...}, "state": {KEY: ...}, "language": {KEY: [[str]]}},
  "options": map or nil}`; the answer is a list of two maps, `[{KEY: float32 [B, H, D]}, info]`.

Defined by the source of NVIDIA's Isaac-GR00T: gr00t/eval/service.py (N1.5) and gr00t/policy/server_client.py
(N1.6).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np

from lowlat_nodes.transport.arrays import MAX_MESSAGE, WireError, unpack
from lowlat_nodes.transport.policy import npy

GENERATIONS = ("1.5", "1.6")
"""1.6 stands for all that came after, too."""

_MODALITIES = ("video", "state", "language")
BARE_ERROR = b"ERROR"

_ARRAY, _NPY = "__ndarray_class__", "as_npy"
_MODALITY, _JSON = "__ModalityConfig_class__", "as_json"
_MANY = 1000  # keys or steps of a modality


@dataclass(frozen=True)
class ModalityConfig:
    """What a policy takes or gives of one modality.

    Attributes:
        delta_indices: Which steps, relative to now; their number is T, or H for actions.
        modality_keys: The names.
        generation: Of whoever wrote it.
    """

    delta_indices: tuple[int, ...]
    modality_keys: tuple[str, ...]
    generation: str = "1.6"


def encode(message: Any) -> bytes:
    """Return a message of plain data as bytes.

    Raises:
        WireError: If it holds something that has no form on the wire, or too much of it.
    """
    try:
        data: bytes = msgpack.packb(message, default=_encode_object)
    except (TypeError, ValueError, OverflowError) as error:
        raise WireError(f"expected plain data to send: {error}") from error
    if len(data) > MAX_MESSAGE:
        raise WireError(f"expected at most {MAX_MESSAGE} bytes to send, got {len(data)}")
    return data


def decode(data: bytes, *, max_bytes: int = MAX_MESSAGE) -> Any:
    """Return a message as plain data; its arrays share its memory and cannot be written to.

    Raises:
        WireError: If it is malformed, or exceeds the limits of `arrays`.
    """
    return unpack(data, object_hook=_decode_object, max_bytes=max_bytes)


def encode_modality(config: ModalityConfig) -> dict[str, Any]:
    """Return a modality configuration as plain data, in the form of its generation."""
    fields = {"delta_indices": list(config.delta_indices), "modality_keys": list(config.modality_keys)}
    return {_MODALITY: True, _JSON: json.dumps(fields) if config.generation == "1.5" else fields}


def decode_modality(value: object) -> ModalityConfig:
    """Return a modality configuration from plain data; fields that we do not know are left out.

    Raises:
        WireError: If it is none of either generation.
    """
    if not isinstance(value, dict) or _MODALITY not in value:
        raise WireError(f"modality: expected a map with {_MODALITY!r}, got {type(value).__name__}")
    content, generation = value.get(_JSON), "1.6"
    if isinstance(content, str):
        generation = "1.5"
        try:
            content = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise WireError(f"modality: expected JSON: {type(error).__name__}") from error
    if not isinstance(content, dict):
        raise WireError(f"modality: expected JSON or a map, got {type(content).__name__}")
    steps, keys = content.get("delta_indices"), content.get("modality_keys")
    fits = (
        isinstance(steps, list)
        and isinstance(keys, list)
        and max(len(steps), len(keys)) <= _MANY
        and all(type(step) is int for step in steps)
        and all(isinstance(key, str) for key in keys)
    )
    if not fits:
        raise WireError("modality: expected delta_indices as [int] and modality_keys as [str]")
    return ModalityConfig(tuple(steps), tuple(keys), generation)  # type: ignore[arg-type]


def flatten(observation: Mapping[str, Any]) -> dict[str, Any]:
    """Return an observation of N1.6 as one of N1.5.

    Raises:
        WireError: If a modality is unknown or no map.
    """
    flat: dict[str, Any] = {}
    for modality, values in observation.items():
        if modality not in _MODALITIES or not isinstance(values, Mapping):
            raise WireError(f"observation: expected maps for {', '.join(_MODALITIES)}, got {modality!r}")
        prefix = "" if modality == "language" else f"{modality}."
        flat |= {f"{prefix}{key}": value for key, value in values.items()}
    return flat


def is_single(flat: Mapping[str, Any]) -> bool:
    """Return whether an observation of N1.5 has no axis B; the answer to it must have none either."""
    return any(key.startswith("state.") and np.ndim(value) < 3 for key, value in flat.items())


def nest(flat: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return an observation of N1.5 as one of N1.6: with axes B and T, and text as [[str]].

    Raises:
        WireError: If a value has no place in it.
    """
    nested: dict[str, dict[str, Any]] = {modality: {} for modality in _MODALITIES}
    single = is_single(flat)
    for key, value in flat.items():
        modality, _, name = key.partition(".")
        if modality in {"video", "state"}:
            if not isinstance(value, np.ndarray):
                raise WireError(f"observation: expected an array for {key!r}, got {type(value).__name__}")
            nested[modality][name] = value[None] if single else value
        else:
            nested["language"][key] = _sentences(key, value)
    return nested


def _sentences(key: str, value: object) -> list[list[str]]:
    """Return text in whatever depth of lists as [[str]], one for each observation of a batch."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list):
        rows = [[row] if isinstance(row, str) else row for row in value]
        if all(isinstance(row, list) and all(isinstance(text, str) for text in row) for row in rows):
            return rows
    raise WireError(f"observation: expected [[text]] for {key!r}, got {type(value).__name__}")


def _encode_object(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {_ARRAY: True, _NPY: npy.dump(value)}
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"got {type(value).__name__}")


def _decode_object(fields: dict[Any, Any]) -> Any:
    if _ARRAY in fields:
        data = fields.get(_NPY)
        if fields.keys() != {_ARRAY, _NPY} or not isinstance(data, bytes):
            raise WireError(f"array: expected {_ARRAY!r} and bytes as {_NPY!r}, got {len(fields)} keys")
        return npy.load(data)
    return fields
