# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The typed configuration of a node as ROS parameters: declared, described, checked and changed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from lowlat_nodes.stream.config import Setting, build, settings
from lowlat_nodes.stream.errors import ConfigurationError

C = TypeVar("C")

_NOT_OURS = ("qos_overrides.", "use_sim_time", "start_type_description_service")
_TYPES = {
    (bool, False): Parameter.Type.BOOL,
    (int, False): Parameter.Type.INTEGER,
    (float, False): Parameter.Type.DOUBLE,
    (str, False): Parameter.Type.STRING,
    (bool, True): Parameter.Type.BOOL_ARRAY,
    (int, True): Parameter.Type.INTEGER_ARRAY,
    (float, True): Parameter.Type.DOUBLE_ARRAY,
    (str, True): Parameter.Type.STRING_ARRAY,
}
_ARRAYS = (Parameter.Type.BYTE_ARRAY, *(kind for (_, many), kind in _TYPES.items() if many))


class NodeParameters(Generic[C]):
    """Declares the settings of a configuration class on a node and keeps the configuration that they make.

    Values come from the parameter file and the command line. Whatever does not fit, an unknown name
    included, makes `configuration` raise, so that the node lives to tell. Whole numbers serve as floats, and
    an empty array, whose type ROS cannot tell, as one of any type.
    Settings that are not `live` are read-only.

    Args:
        node: Made with `automatically_declare_parameters_from_overrides`, which is how unknown names show.
        config_type: A configuration class of `stream.config`.
        changed: Called with the new configuration after each change of live parameters.
        check: Called with it before; raises ConfigurationError to refuse the change.
    """

    def __init__(
        self,
        node: Node,
        config_type: type[C],
        changed: Callable[[C], None],
        check: Callable[[C], None] = lambda _config: None,
    ) -> None:
        self._node = node
        self._config_type = config_type
        self._changed = changed
        self._refuse = check
        self._values: dict[str, Any] = {
            name: parameter.value
            for name, parameter in node.get_parameters_by_prefix("").items()
            if not name.startswith(_NOT_OURS)
        }
        try:
            self._settings = {item.name: item for item in settings(config_type, self._values)}
        except ConfigurationError:  # the name of a group is none; `configuration` says so
            self._settings = {item.name: item for item in settings(config_type)}
        for item in self._settings.values():
            if item.many and self._values.get(item.name, ()) is None:
                self._values[item.name] = ()
            self._declare(item)
        node.add_pre_set_parameters_callback(self._convert)
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._keep)

    def configuration(self) -> C:
        """Return the configuration that the parameters make now.

        Raises:
            ConfigurationError: If they make none; says which parameter, what was expected and what came.
        """
        return build(self._config_type, self._values)

    def _declare(self, item: Setting) -> None:
        value = item.default
        if item.name in self._values:
            self._node.undeclare_parameter(item.name)  # it was declared from the file, without a descriptor
            try:
                value = item.convert(self._values[item.name])
            except ConfigurationError:  # `configuration` says so
                value = item.default
        kind = _TYPES[item.kind, item.many]
        final = _describe(item, read_only=not item.live)
        if value is None:  # one that must be given and was not; rclpy gives it no descriptor later
            self._node.declare_parameter(item.name, kind, final, ignore_override=True)
            return
        self._node.declare_parameter(item.name, kind, _describe(item), ignore_override=True)
        self._node.set_parameters([Parameter(item.name, kind, list(value) if item.many else value)])
        self._node.set_descriptor(item.name, final)

    def _convert(self, parameters: list[Parameter]) -> list[Parameter]:
        """Let `ros2 param set node rate 5` set a float, and `[]` empty an array of texts."""
        return [self._typed(parameter) for parameter in parameters]

    def _typed(self, parameter: Parameter) -> Parameter:
        item = self._settings.get(parameter.name)
        if item is None:
            return parameter
        if item.kind is float and parameter.type_ == Parameter.Type.INTEGER:
            return Parameter(parameter.name, Parameter.Type.DOUBLE, float(parameter.value))
        if item.many and parameter.type_ in _ARRAYS and not len(parameter.value):
            return Parameter(parameter.name, _TYPES[item.kind, True], [])
        return parameter

    def _check(self, parameters: Sequence[Parameter]) -> SetParametersResult:
        changes = self._changes(parameters)
        try:
            if changes:
                self._refuse(build(self._config_type, self._values | changes))
        except ConfigurationError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _keep(self, parameters: Sequence[Parameter]) -> None:
        if changes := self._changes(parameters):
            self._values |= changes
            self._changed(self.configuration())

    def _changes(self, parameters: Sequence[Parameter]) -> dict[str, Any]:
        return {item.name: item.value for item in parameters if item.name in self._settings}


def _describe(item: Setting, *, read_only: bool = False) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        type=_TYPES[item.kind, item.many].value,
        description=f"{item.doc} [{item.unit}]" if item.unit else item.doc,
        additional_constraints=item.describe(),
        read_only=read_only,
    )
    if item.many or (item.low is None and item.high is None):
        return descriptor
    if item.kind is float:
        low = -sys.float_info.max if item.low is None else item.low
        high = sys.float_info.max if item.high is None else item.high
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
    else:
        low = -(1 << 63) if item.low is None else item.low
        high = (1 << 63) - 1 if item.high is None else item.high
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
    return descriptor
