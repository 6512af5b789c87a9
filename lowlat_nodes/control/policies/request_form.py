# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How observations and actions are named and shaped in requests to policy servers, and in the answers.

A colon in a key goes one map deeper: `images:cam_high` is the item `cam_high` of the map `images`. The forms
of openpi are those of its examples for LIBERO, DROID and ALOHA; that of GR00T is the one of N1.6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.control.policies.policy import Observation, PolicySpec
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Floats
from lowlat_nodes.stream.requester import AnswerRefused, RequestRefused

REQUEST_NUMBER = "lowlat/request"
"""Key of the request's number, which seeds whatever is random; only for servers that say they know it."""

POLICY_DIGEST = "lowlat/policy"
"""Key of an answer that says which policy gave it: a server may come back with another one."""

LAYOUTS = ("hwc", "chw")


@dataclass(frozen=True)
class RequestForm:
    """The keys and shapes of one server.

    Attributes:
        state_keys: Parts of the state, in order.
        state_sizes: Their lengths; empty if there is one part only.
        image_keys: The key of each image, by feature name.
        layout: `hwc` or `chw`.
        prompt_key: Key of the task.
        action_keys: Parts of the actions, in order of their columns.
        action_sizes: Their widths; empty if there is one part only.
        lead: Axes of length 1 before all others of an observation, and lists around the task; one of them is
            before the actions.
    """

    state_keys: tuple[str, ...]
    state_sizes: tuple[int, ...]
    image_keys: Mapping[str, str]
    layout: str
    prompt_key: str
    action_keys: tuple[str, ...]
    action_sizes: tuple[int, ...]
    lead: int

    def __post_init__(self) -> None:
        for name, keys, sizes in (
            ("state", self.state_keys, self.state_sizes),
            ("action", self.action_keys, self.action_sizes),
        ):
            if not keys or (len(sizes) != len(keys) and (sizes or len(keys) > 1)):
                raise ConfigurationError(
                    f"policy.remote.{name}_keys: expected one key, or a size for each of several, got "
                    f"{list(keys)} and {name}_sizes {list(sizes)}"
                )
        _check_distinct([*self.state_keys, *self.image_keys.values(), self.prompt_key])
        _check_distinct(list(self.action_keys))

    def write_request(self, observation: Observation) -> dict[str, Any]:
        """Return an observation as a request."""
        request: dict[str, Any] = {}
        for key, part in zip(self.state_keys, _split(observation.state, self.state_sizes), strict=True):
            _put(request, key, part[(None,) * self.lead])
        for name, key in self.image_keys.items():
            image = observation.images[name]
            if self.layout == "chw":
                image = image.transpose(2, 0, 1)
            _put(request, key, image[(None,) * self.lead])
        task: Any = observation.task
        for _ in range(self.lead):
            task = [task]
        _put(request, self.prompt_key, task)
        return request

    def read_request(self, request: Mapping[str, Any], spec: PolicySpec, number: int) -> Observation:
        """Return a request as the observation of a policy.

        Args:
            request: From outside.
            spec: What the policy takes.
            number: Of the request, unless it brings one.

        Raises:
            RequestRefused: If anything is missing or does not fit.
        """
        size = len(spec.state_fields) * len(spec.delta)
        parts = [self._state_part(request, index) for index in range(len(self.state_keys))]
        with np.errstate(over="ignore"):  # infinity is what becomes of it
            state = np.concatenate(parts).astype(np.float32)
        if state.shape != (size,) or not np.isfinite(state).all():
            _refuse(" and ".join(self.state_keys), f"{size} finite numbers", state)
        images = {name: self._image(request, self.image_keys[name], spec, name) for name in spec.images}
        given = request.get(REQUEST_NUMBER, number)
        if type(given) is not int or not 0 <= given < 1 << 63:
            _refuse(REQUEST_NUMBER, "a number that is not negative", given)
        return Observation(state, images, self._task(request, required=spec.takes_task), given)

    def write_answer(self, actions: Floats) -> dict[str, Any]:
        """Return actions float64 [horizon, width] as an answer."""
        answer: dict[str, Any] = {}
        for key, part in zip(self.action_keys, _split(actions.T, self.action_sizes), strict=True):
            _put(answer, key, part.T[None].astype(np.float32) if self.lead else part.T)
        return answer

    def read_answer(self, answer: Mapping[str, Any]) -> Floats:
        """Return the actions float64 [horizon, width] of an answer.

        Raises:
            AnswerRefused: If they are missing or no such table.
        """
        parts: list[Floats] = []
        for index, key in enumerate(self.action_keys):
            part = _get(answer, key)
            if not isinstance(part, np.ndarray) or part.dtype.kind not in "fiu":
                raise AnswerRefused(f"{key}: expected an array of numbers, got {_described(part)}")
            table = part[0] if self.lead and part.ndim == 3 and len(part) == 1 else part
            width = self.action_sizes[index] if self.action_sizes else table.shape[-1] if table.ndim else 0
            if table.ndim != 2 or table.shape[1] != width:
                raise AnswerRefused(f"{key}: expected shape [horizon, {width}], got {_described(part)}")
            if parts and len(table) != len(parts[0]):
                raise AnswerRefused(f"{key}: expected {len(parts[0])} rows as before, got {_described(part)}")
            parts.append(table.astype(np.float64))
        return np.concatenate(parts, axis=1)

    def modality(self, horizon: int) -> dict[str, Any]:
        """Return the keys by the map that they are in, as GR00T's servers tell them."""
        steps = {"action": list(range(horizon))}
        keys = [*self.state_keys, *self.image_keys.values(), self.prompt_key, *self.action_keys]
        modality: dict[str, Any] = {}
        for where, _, key in (item.partition(":") for item in keys):
            found = modality.setdefault(where, {"delta_indices": steps.get(where, [0]), "modality_keys": []})
            found["modality_keys"].append(key)
        return modality

    def _state_part(self, request: Mapping[str, Any], index: int) -> NDArray[Any]:
        key = self.state_keys[index]
        value = _get(request, key)
        part = self._without_lead(value)
        if part is None or part.dtype.kind not in "fiu" or part.ndim != 1:
            _refuse(key, "a vector of numbers", value)
        if self.state_sizes and len(part) != self.state_sizes[index]:
            _refuse(key, f"{self.state_sizes[index]} numbers", value)
        return part

    def _image(self, request: Mapping[str, Any], key: str, spec: PolicySpec, name: str) -> NDArray[np.uint8]:
        size = spec.images[name]
        shape = (size.height, size.width, 3)
        value = _get(request, key)
        image = self._without_lead(value)
        if image is not None and image.ndim == 3 and self.layout == "chw":
            image = image.transpose(1, 2, 0)
        if image is None or image.dtype != np.uint8 or image.shape != shape:
            _refuse(key, f"uint8 of {size.height} x {size.width} rgb pixels, {self.layout}", value)
        return np.ascontiguousarray(image)

    def _task(self, request: Mapping[str, Any], *, required: bool) -> str:
        task: Any = _get(request, self.prompt_key)
        if task is None and not required:
            return ""
        for _ in range(self.lead):
            task = task[0] if isinstance(task, list) and len(task) == 1 else None
        if not isinstance(task, str):
            _refuse(self.prompt_key, "text", task)
        return task

    def _without_lead(self, value: Any) -> NDArray[Any] | None:
        if not isinstance(value, np.ndarray) or value.shape[: self.lead] != (1,) * self.lead:
            return None
        array: NDArray[Any] = value[(0,) * self.lead]
        return array


@dataclass(frozen=True)
class KnownForm:
    """What is the same for all robots in a form; `image` has the feature's name to fill in."""

    state_keys: tuple[str, ...] = ()
    state_sizes: tuple[int, ...] = ()
    image: str = "observation/{}"
    layout: str = "hwc"
    prompt_key: str = "prompt"
    action_keys: tuple[str, ...] = ("actions",)
    lead: int = 0


FORMS: Mapping[str, KnownForm] = {
    "libero": KnownForm(("observation/state",)),
    "droid": KnownForm(("observation/joint_position", "observation/gripper_position"), (7, 1)),
    "aloha": KnownForm(("state",), image="images:{}", layout="chw"),
    "gr00t": KnownForm(
        image="video:{}",
        prompt_key="language:annotation.human.task_description",
        action_keys=(),
        lead=2,
    ),
}


def _check_distinct(keys: list[str]) -> None:
    for index, key in enumerate(keys):
        for other in keys[:index] + keys[index + 1 :]:
            if not key or f"{other}:".startswith(f"{key}:"):
                raise ConfigurationError(
                    f"policy.remote: expected keys that are distinct and not inside each other, got {key!r} "
                    f"and {other!r}"
                )


def _split(values: NDArray[Any], sizes: Sequence[int]) -> list[NDArray[Any]]:
    """Return the parts along the first axis; all of it where there are no sizes."""
    return np.split(values, np.cumsum(sizes)[:-1]) if sizes else [values]


def _put(message: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(":")
    for step in path:
        message = message.setdefault(step, {})
    message[last] = value


def _get(message: Any, key: str) -> Any:
    """Return what stands under a key, None for nothing."""
    for step in key.split(":"):
        message = message.get(step) if isinstance(message, Mapping) else None
    return message


def _refuse(key: str, expected: str, value: Any) -> NoReturn:
    raise RequestRefused(f"{key}: expected {expected}, got {_described(value)}")


def _described(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, np.ndarray):
        note = "" if value.dtype.kind != "f" or np.isfinite(value).all() else ", not all finite"
        return f"{value.dtype.name} {list(value.shape)}{note}"
    return type(value).__name__
