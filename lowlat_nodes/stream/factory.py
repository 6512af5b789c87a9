# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What makes a processor of its parameters, and says which parameters there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.processor import Processor

C = TypeVar("C")


class ProcessorFactory(Generic[C]):
    """Makes a processor of parameters, flat with dotted names, that fit a configuration class.

    A package registers it by name (docs/plugins.md)::

        make_nearest = ProcessorFactory(NearestConfig, Nearest)

    Args:
        config_type: A configuration class of `stream.config`.
        make: Makes the processor of such a configuration: a class that takes it, or a function.

    Attributes:
        config_type: What parameters there are; nodes declare them, and `lowlat parameters` lists them.
    """

    def __init__(self, config_type: type[C], make: Callable[[C], Processor]) -> None:
        self.config_type = config_type
        self._make = make

    def __call__(self, parameters: Mapping[str, Any]) -> Processor:
        """Make a processor.

        Raises:
            ConfigurationError: If the parameters do not fit.
        """
        return self._make(build(self.config_type, parameters))
