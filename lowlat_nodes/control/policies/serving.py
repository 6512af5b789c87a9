# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A policy as something that a server can serve."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from lowlat_nodes.control.policies.policy import Observation, Policy, infer
from lowlat_nodes.control.policies.remote import EXTENSION
from lowlat_nodes.control.policies.request_conditions import STEPS, condition_keys, read_conditions
from lowlat_nodes.control.policies.request_form import POLICY_DIGEST, REQUEST_NUMBER, RequestForm
from lowlat_nodes.stream.bound import UNBOUNDED, Bound
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.requester import RequestRefused

_LOCAL = "local clients"  # who asks over a Unix socket has no address


class PolicyResponder:
    """Answers requests of one form with the actions of a policy.

    Args:
        policy: Infers.
        form: Keys and shapes of requests and answers.
        bound: How many steps an answer may take, by client, of a policy that lets clients choose. It gets
            what may be, and its answer says so.

    Raises:
        ConfigurationError: If the form does not fit the policy.
    """

    def __init__(self, policy: Policy, form: RequestForm, bound: Bound = UNBOUNDED) -> None:
        self._policy = policy
        self._bound = bound
        self._form = form
        self._number = 0
        spec = policy.spec
        self._digest = hashlib.sha256(json.dumps(spec.to_plain(), sort_keys=True).encode()).hexdigest()[:16]
        for name, sizes, expected in (
            ("state_sizes", form.state_sizes, len(spec.state_fields) * len(spec.delta)),
            ("action_sizes", form.action_sizes, len(spec.delta)),
        ):
            if sizes and sum(sizes) != expected:
                raise ConfigurationError(
                    f"policy.remote.{name}: expected {expected} together, got {list(sizes)}"
                )

    def describe(self) -> Mapping[str, Any]:
        """Return the policy's specification, for clients of this package, and GR00T's modalities."""
        spec = self._policy.spec
        keys = [REQUEST_NUMBER, *condition_keys(spec.accepts)]
        extension = {"spec": spec.to_plain(), "keys": keys, "digest": self._digest}
        description: dict[str, Any] = {EXTENSION: extension}
        if self._form.lead:
            description["modality"] = self._form.modality(spec.horizon)
        return description

    def respond(self, request: Mapping[str, Any], client: str = "") -> Mapping[str, Any]:
        """Return the actions for an observation; requests without a number are numbered from 0.

        Raises:
            RequestRefused: If the observation does not fit the policy, or the client is not to be served now.
            Exception: As `policy.infer`.
        """
        spec = self._policy.spec
        observation = self._form.read_request(request, spec, self._number)
        read_conditions(request, observation, spec)
        if spec.steps:
            self._keep_within_bounds(observation, client or _LOCAL)
        self._number += 1
        answer = self._form.write_answer(infer(self._policy, observation))
        if STEPS in request and spec.steps:
            answer |= {STEPS: observation.steps}
        if REQUEST_NUMBER in request:
            answer |= {REQUEST_NUMBER: observation.request, POLICY_DIGEST: self._digest}
        return answer

    def _keep_within_bounds(self, observation: Observation, client: str) -> None:
        limit = self._bound.limit(client)
        if limit < 1.0:
            raise RequestRefused(
                f"{STEPS}: too many requests of {client} asked for far more steps than is "
                "usual; ask for fewer, later"
            )
        wanted = observation.steps or self._policy.spec.steps
        observation.steps = int(min(wanted, limit))
        self._bound.note(wanted, cut=wanted > observation.steps, source=client)

    def reset(self) -> None:
        """Begin to number anew."""
        self._number = 0
