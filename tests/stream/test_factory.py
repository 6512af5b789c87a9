# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A factory makes a processor of parameters that fit its configuration class, and of no others."""

from __future__ import annotations

import pytest

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.factory import ProcessorFactory
from lowlat_nodes.stream.throttle import Throttle, ThrottleConfig


def test_parameters_become_the_configuration_of_the_processor() -> None:
    factory = ProcessorFactory(ThrottleConfig, Throttle)
    assert factory.config_type is ThrottleConfig
    processor = factory({"max_hz": 5, "topics": ["image"], "suffix": "_slow"})
    assert isinstance(processor, Throttle)
    assert (processor.inputs, processor.outputs) == (("image",), ("image_slow",))


def test_others_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'max_hz'"):
        ProcessorFactory(ThrottleConfig, Throttle)({"max_h": 5.0})
