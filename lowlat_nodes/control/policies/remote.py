# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A policy that runs in a server, near or far."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from lowlat_nodes.control.policies.policy import ImageSpec, Observation, PolicySpec
from lowlat_nodes.control.policies.request_conditions import understood, write_conditions
from lowlat_nodes.control.policies.request_form import (
    FORMS,
    LAYOUTS,
    POLICY_DIGEST,
    REQUEST_NUMBER,
    RequestForm,
)
from lowlat_nodes.stream.config import group, setting
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Floats
from lowlat_nodes.stream.requester import AnswerRefused, Requester, ServerGone

EXTENSION = "lowlat"
"""Key under which servers of this package say more of themselves than their protocol asks for."""

_RETRY_S = 0.2
_LONGEST_SIDE = 8192

T = TypeVar("T")


@dataclass(frozen=True)
class RemoteImageConfig:
    """An image that the server takes."""

    key: str = setting("", doc="Its key in requests; as the form has it if empty.")
    height: int = setting(0, doc="Height; 0: as the server says.", unit="px", low=0, high=_LONGEST_SIDE)
    width: int = setting(0, doc="Width; 0: as the server says.", unit="px", low=0, high=_LONGEST_SIDE)


@dataclass(frozen=True)
class RemoteConfig:
    """Where the server is, and how it names things; servers of this package say most of it themselves."""

    protocol: str = setting("openpi", doc="Protocol of the server: openpi, gr00t or lowlat.")
    address: str = setting("", doc="Where the server is, such as ws://127.0.0.1:8000.")
    token_file: str = setting("", doc="File with the token that the server asks for; only you may read it.")
    key_file: str = setting(
        "",
        doc="Keys of this client, by name or secret file, for protocol lowlat to another machine.",
    )
    server_key_file: str = setting(
        "", doc="The server's public key, or its name or file; goes with key_file."
    )
    timeout_ms: float = setting(
        1000.0, doc="An answer that takes longer is of no use.", unit="ms", low=1.0, high=600_000.0
    )
    first_timeout_ms: float = setting(
        60_000.0, doc="How long the first answer may take: servers compile then.", unit="ms", low=1.0
    )
    wait_ms: float = setting(
        10_000.0, doc="How long to wait for the server at configuration.", unit="ms", low=0.0
    )
    form: str = setting(
        "libero",
        doc="Whose keys and shapes: those of openpi's examples libero, droid and aloha, or of gr00t.",
        choices=tuple(FORMS),
    )
    state_keys: tuple[str, ...] = setting(
        (), doc="Keys of the parts of the state, in order; a colon goes one map deeper; empty: as the form."
    )
    state_sizes: tuple[int, ...] = setting((), doc="Lengths of the parts, if there are several.", low=1)
    state_fields: tuple[str, ...] = setting(
        (),
        doc="What the state holds of the joints; empty: as the server says, or the position.",
    )
    image: Mapping[str, RemoteImageConfig] = group(
        RemoteImageConfig, doc="One group per image; none: as the server says."
    )
    layout: str = setting("", doc="Axes of an image; empty: as the form has them.", choices=("", *LAYOUTS))
    prompt_key: str = setting("", doc="Key of the task; empty: as the form has it.")
    action_keys: tuple[str, ...] = setting(
        (), doc="Keys of the parts of the actions; empty: as the form has them."
    )
    action_sizes: tuple[int, ...] = setting((), doc="Widths of the parts, if there are several.", low=1)
    action_width: int = setting(0, doc="Columns of the actions; 0: as the server says.", low=0, high=10_000)
    action_columns: tuple[int, ...] = setting(
        (), doc="Which of them move the joints, in the order of the joints; empty: all.", low=0
    )
    delta: tuple[bool, ...] = setting(
        (), doc="For each joint, whether its action is a step; empty: policy.action_kind decides for all."
    )
    horizon: int = setting(
        0, doc="Rows of a chunk; the server may give more; 0: as the server says.", low=0, high=100_000
    )

    def request_form(self, images: Iterable[str]) -> RequestForm:
        """Return the form of requests with images of these feature names."""
        known = FORMS[self.form]
        keys = {name: self.image[name].key if name in self.image else "" for name in images}
        return RequestForm(
            state_keys=self.state_keys or known.state_keys,
            state_sizes=self.state_sizes or (() if self.state_keys else known.state_sizes),
            image_keys={name: key or known.image.format(name) for name, key in keys.items()},
            layout=self.layout or known.layout,
            prompt_key=self.prompt_key or known.prompt_key,
            action_keys=self.action_keys or known.action_keys,
            action_sizes=self.action_sizes,
            lead=known.lead,
        )


class RemotePolicy:
    """Asks a server for each chunk, and takes only what fits.

    Args:
        requester: Asks the server; this policy closes it.
        config: How the server names things.
        action_period_ns: Time between actions; 0: as the server says.
        action_kind: `absolute` or `delta`; empty: as the server says.
        steps: In how many steps chunks are to be made of noise; 0: as the server does. A server may make
            fewer than it is asked for.

    Raises:
        ConfigurationError: If something is neither configured nor said by the server, or both disagree.
        RequestError: If there is no server.
    """

    def __init__(
        self,
        requester: Requester,
        config: RemoteConfig,
        *,
        action_period_ns: int = 0,
        action_kind: str = "",
        steps: int = 0,
    ) -> None:
        self._requester = requester
        self._steps = steps
        said, keys, self._digest = _said(_describe(requester, round(config.wait_ms * 1e6)))
        self._numbered = REQUEST_NUMBER in keys
        self.spec, self._width, self._columns = _agree(config, said, action_period_ns, action_kind)
        if steps and "steps" not in self.spec.accepts:
            raise ConfigurationError("policy.steps: the server does not let one choose, leave it at 0")
        self._form = config.request_form(self.spec.images)
        size = len(self.spec.state_fields) * len(self.spec.delta)
        if self._form.state_sizes and sum(self._form.state_sizes) != size:
            raise ConfigurationError(
                f"policy.remote.state_sizes: {', '.join(self.spec.state_fields)} of {len(self.spec.delta)} "
                f"joints make {size} numbers, got {list(self._form.state_sizes)}"
            )
        self._timeout_ns = round(config.timeout_ms * 1e6)
        self._first_timeout_ns = round(config.first_timeout_ms * 1e6)

    def infer(self, observation: Observation) -> Floats:
        """Return float64 [horizon, joints].

        Raises:
            RequestError: If there is no usable answer in time.
        """
        request = self._form.write_request(observation)
        if self._steps and not observation.steps:
            observation = replace(observation, steps=self._steps)
        request |= write_conditions(observation, self.spec.accepts)
        if self._numbered:
            request[REQUEST_NUMBER] = observation.request
        timeout_ns = self._first_timeout_ns or self._timeout_ns
        answer = self._requester.request(request, deadline_ns=time.monotonic_ns() + timeout_ns)
        if self._numbered and answer.get(REQUEST_NUMBER) != observation.request:
            raise AnswerRefused(
                f"expected the answer to request {observation.request}, got that to "
                f"{answer.get(REQUEST_NUMBER)!r:.80}"
            )
        if self._digest and answer.get(POLICY_DIGEST) != self._digest:
            raise AnswerRefused("the server has another policy than at configuration; configure anew")
        actions = self._form.read_answer(answer)
        rows, width = actions.shape
        if width != self._width or rows < self.spec.horizon:
            raise AnswerRefused(
                f"expected at least {self.spec.horizon} rows of {self._width} actions, got {rows} of {width}"
            )
        actions = actions[: self.spec.horizon, self._columns]
        if not np.isfinite(actions).all():
            raise AnswerRefused("expected finite actions, got NaN or infinity")
        self._first_timeout_ns = 0
        return actions

    def close(self) -> None:
        """Let go of the server."""
        self._requester.close()


def _describe(requester: Requester, wait_ns: int) -> Mapping[str, Any]:
    """Return what the server says of itself, once it is there."""
    deadline_ns = time.monotonic_ns() + wait_ns
    while time.monotonic_ns() < deadline_ns:
        with contextlib.suppress(ServerGone):
            return requester.describe()
        time.sleep(_RETRY_S)
    return requester.describe()


def _said(metadata: Mapping[str, Any]) -> tuple[PolicySpec | None, list[Any], str]:
    """Return the specification of one of our servers, the keys that it knows, and its policy's digest."""
    extension = metadata.get(EXTENSION)
    if extension is None:
        return None, [], ""
    keys = extension.get("keys") if isinstance(extension, Mapping) else None
    if not isinstance(keys, list) or "spec" not in extension:
        raise ConfigurationError(f"the server: expected a map with 'spec' and 'keys', got {extension!r:.80}")
    digest = str(extension.get("digest", "")) if REQUEST_NUMBER in keys else ""
    spec = PolicySpec.from_plain(extension["spec"])
    accepts = understood(spec.accepts, keys)
    return replace(spec, accepts=accepts, steps=spec.steps if "steps" in accepts else 0), keys, digest


def _agree(
    config: RemoteConfig, said: PolicySpec | None, action_period_ns: int, action_kind: str
) -> tuple[PolicySpec, int, list[int]]:
    """Return what the policy is, the width of the server's actions, and which columns are used."""
    width = _same("policy.remote.action_width", config.action_width, len(said.delta) if said else 0)
    columns = list(config.action_columns) or list(range(width))
    if max(columns) >= width or (said and columns != list(range(width))):
        raise ConfigurationError(
            f"policy.remote.action_columns: expected {'all' if said else 'some'} of the server's {width}, "
            f"got {columns}"
        )
    period_ns = _same(
        "policy.action_period_ms (in ns)", action_period_ns, said.action_period_ns if said else 0
    )
    horizon = config.horizon or (said.horizon if said else 0)
    if not horizon or (said is not None and horizon > said.horizon):
        raise ConfigurationError(
            f"policy.remote.horizon: expected {f'at most {said.horizon}' if said else 'a number of rows'}, "
            f"got {config.horizon}"
        )
    delta = config.delta or ((action_kind == "delta",) * len(columns) if action_kind else ())
    delta = _same("policy.remote.delta or policy.action_kind", delta, said.delta if said else ())
    if len(delta) != len(columns):
        raise ConfigurationError(f"policy.remote.delta: expected {len(columns)} values, got {list(delta)}")
    spec = PolicySpec(
        joints=said.joints if said else (),
        state_fields=config.state_fields or (said.state_fields if said else ("position",)),
        images=_images(config, said),
        takes_task=said.takes_task if said else True,
        horizon=horizon,
        action_period_ns=period_ns,
        delta=delta,
        accepts=said.accepts if said else (),
        steps=said.steps if said else 0,
    )
    return spec, width, columns


def _images(config: RemoteConfig, said: PolicySpec | None) -> dict[str, ImageSpec]:
    known = dict(said.images) if said else {}
    if said and config.image and known.keys() != config.image.keys():
        raise ConfigurationError(
            f"policy.remote.image: the server takes images {sorted(known)}, got {sorted(config.image)}"
        )
    images = {}
    for name in config.image or known:
        item = config.image.get(name, RemoteImageConfig())
        size = known.get(name, ImageSpec(0, 0))
        height = _same(f"policy.remote.image.{name}.height", item.height, size.height)
        width = _same(f"policy.remote.image.{name}.width", item.width, size.width)
        if max(height, width) > _LONGEST_SIDE:
            raise ConfigurationError(f"the server: expected an image {name!r} of at most {_LONGEST_SIDE} px")
        images[name] = ImageSpec(height, width)
    return images


def _same(name: str, given: T, said: T) -> T:
    """Return what is configured or what the server says, which must not contradict each other."""
    if not given and not said:
        raise ConfigurationError(f"{name} must be given: the server does not say it")
    if given and said and given != said:
        raise ConfigurationError(f"{name}: the server says {said!r}, got {given!r}")
    return given or said
