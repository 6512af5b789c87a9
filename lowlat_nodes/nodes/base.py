# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node that all nodes of this package are: typed parameters, reasons, diagnostics."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from lowlat_nodes.energy.budget import Budget, Leeway, Order
from lowlat_nodes.energy.settings import EnergySettings
from lowlat_nodes.nodes.diagnostics import (
    DiagnosticSettings,
    DiagnosticsPublisher,
    Level,
    Report,
    standard_values,
)
from lowlat_nodes.nodes.energy.node_energy import NodeEnergy
from lowlat_nodes.nodes.parameters import NodeParameters
from lowlat_nodes.nodes.stop import StopRequest
from lowlat_nodes.stream.config import section, setting
from lowlat_nodes.stream.errors import ConfigurationError, LowlatError


@dataclass(frozen=True, kw_only=True)
class NodeSettings:
    """What every node takes; the configuration of a node derives from this (with `kw_only=True`)."""

    autostart: bool = setting(
        True,
        doc="Whether the node configures and activates itself; false leaves that to a lifecycle manager.",
    )
    diagnostic_updater: DiagnosticSettings = section(DiagnosticSettings, doc="Reports on /diagnostics.")
    energy: EnergySettings = section(EnergySettings, doc="What results cost.")

    def verify(self) -> None:
        """Refuse what only foreign code can tell to be wrong; `lowlat up --check` asks.

        Raises:
            ConfigurationError: With the reason.
        """


C = TypeVar("C", bound=NodeSettings)


class LifecycleHost(LifecycleNode, Generic[C]):
    """A managed node around work that knows no ROS.

    Subclasses override `setup`, `begin`, `halt` and `teardown`, which raise what is wrong, `report`, and
    `check` and `changed` for live parameters. The transitions call them:

    ========== ============== ==========================================================================
    transition calls          if that raises, the reason is logged and reported, and
    ========== ============== ==========================================================================
    configure  setup          teardown is called; the node stays unconfigured
    activate   begin          halt is called; the node stays inactive
    deactivate halt           teardown is called; the node is unconfigured
    cleanup    teardown       the node is unconfigured all the same
    shutdown   halt, teardown the node is finalized all the same
    ========== ============== ==========================================================================

    Args:
        name: The node's name, unless remapped.
        config_type: The configuration class; each of its settings becomes a parameter.
        task: What the diagnostics report on.
        overrides: Parameters that win over those of the parameter file.
        ros: Further arguments of `rclpy.node.Node`, such as `namespace`, `cli_args` or `context`.

    Attributes:
        state: unconfigured, inactive, active or finalized.
        problem: Why the last transition failed, empty if it did not.
        stop: Asks a `setup` that takes long to give up; set by `run`, None without it.
        fatal: Why the process must end and be started anew, empty while it need not; set by subclasses.
        unit: What a result of the node is, for figures of energy; subclasses have their own.
        energy: Counts results, from before `setup` until after `teardown`.
        tells_energy: Whether it says on `~/energy` what they cost.
    """

    unit = "result"
    tells_energy = True

    def __init__(
        self,
        name: str,
        config_type: type[C],
        *,
        task: str = "node",
        overrides: list[Parameter] | None = None,
        **ros: Any,
    ) -> None:
        self.state = "unconfigured"
        self.problem = ""
        self.fatal = ""
        self.stop: StopRequest | None = None
        super().__init__(
            name, parameter_overrides=overrides, automatically_declare_parameters_from_overrides=True, **ros
        )
        self._typed = NodeParameters(self, config_type, self._changed, self.check)
        try:
            reporting = self._typed.configuration().diagnostic_updater
        except ConfigurationError:  # told when the node is configured
            reporting = DiagnosticSettings()
        self.diagnostics = DiagnosticsPublisher(self, task, self._full_report, reporting)
        self.energy = NodeEnergy(self, tells=self.tells_energy)
        # A program may forget its nodes; threads that are in C++ when the interpreter ends would abort it.
        atexit.register(self._end)

    def declare_parameters(
        self, namespace: str, parameters: Sequence[tuple[Any, ...]], ignore_override: bool = False
    ) -> list[Parameter]:
        """Declare as rclpy does, and what it refuses: `[]` in a parameter file, which ROS gives no type."""
        untyped = ParameterDescriptor(dynamic_typing=True)
        typed = [(each[0], None, untyped) if each[1:2] == (None,) else each for each in parameters]
        declared: list[Parameter] = super().declare_parameters(namespace, typed, ignore_override)
        return declared

    def setup(self, config: C) -> None:
        """Load and check everything; the node may stay in this state for hours."""

    def begin(self) -> None:
        """Start to work."""

    def halt(self) -> None:
        """Stop to work; called after a failed `begin` too."""

    def teardown(self) -> None:
        """Release what `setup` took; called after a failed `setup` too."""

    def check(self, config: C) -> None:
        """Refuse new values of live parameters that only a loaded model can tell to be wrong.

        Raises:
            ConfigurationError: With the reason, which is what the caller of the service gets.
        """

    def changed(self, config: C) -> None:
        """Take over new values of live parameters, while inactive or active."""

    def report(self) -> Report:
        """Return what the diagnostics say while the node is active; called once per period."""
        return Report(Level.OK, self.state, standard_values(self.state))

    def leeway(self) -> Leeway:
        """Return what the node can do to use less energy; called once a second, from `setup` on."""
        return Leeway()

    def obey(self, order: Order) -> None:
        """Work as the energy budget allows from now on: called with each new order, from `setup` on."""

    def stopping(self) -> bool:
        """Return whether a `setup` that takes long is to give up."""
        return self.stop is not None and self.stop.is_set()

    def start(self) -> bool:
        """Configure and activate; return whether both worked, otherwise `problem` says why not."""
        steps = (self.trigger_configure, self.trigger_activate)
        return all(step() == TransitionCallbackReturn.SUCCESS for step in steps)

    def destroy_node(self) -> None:
        """Shut down from whatever state, also where the context is gone already, and leave the graph."""
        atexit.unregister(self._end)
        self._end()
        self.diagnostics.close()
        super().destroy_node()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:  # noqa: ARG002
        """Build the configuration and set up."""
        self.problem = ""
        try:
            config = self._typed.configuration()
        except ConfigurationError as error:
            self._fail("configure", error)
            return TransitionCallbackReturn.FAILURE
        if self._succeeds("configure", lambda: self._set_up(config)):
            return self._arrive("inactive")
        self._succeeds("cleanup", self._tear_down)
        return TransitionCallbackReturn.FAILURE

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:  # noqa: ARG002
        """Begin."""
        self.problem = ""
        if self._succeeds("activate", self.begin):
            return self._arrive("active")
        self._succeeds("deactivate", self.halt)
        return TransitionCallbackReturn.FAILURE

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:  # noqa: ARG002
        """Halt."""
        self.problem = ""
        if self._succeeds("deactivate", self.halt):
            return self._arrive("inactive")
        return TransitionCallbackReturn.ERROR

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:  # noqa: ARG002
        """Tear down."""
        self.problem = ""
        self._succeeds("cleanup", self._tear_down)
        return self._arrive("unconfigured")

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:  # noqa: ARG002
        """Halt where active, tear down where configured."""
        if self.state == "active":
            self._succeeds("deactivate", self.halt)
        if self.state != "unconfigured":
            self._succeeds("cleanup", self._tear_down)
        return self._arrive("finalized")

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:  # noqa: ARG002
        """Tear down after a halt that failed, so that the node can be configured anew."""
        self._succeeds("cleanup", self._tear_down)
        return self._arrive("unconfigured")

    def _end(self) -> None:
        if self.state == "finalized":
            return
        if self.context.ok():
            self.trigger_shutdown()
        else:  # the state machine ended with it, threads and sockets did not
            self.on_shutdown(LifecycleState(self.state, 0))

    def _set_up(self, config: C) -> None:
        self.energy.open(config.energy, self.unit)
        self.setup(config)
        if config.energy.enabled:
            self.energy.hold_to(Budget(config.energy.budget), self.leeway, self.obey)

    def _tear_down(self) -> None:
        try:
            self.teardown()
        finally:
            self.energy.close()

    def _succeeds(self, transition: str, step: Callable[[], None]) -> bool:
        try:
            step()
        except Exception as error:  # a model may raise anything; rclpy would drop it without a word
            self._fail(transition, error)
            return False
        return True

    def _fail(self, transition: str, error: Exception) -> None:
        reason = str(error) if isinstance(error, LowlatError) else f"{type(error).__name__}: {error}"
        self.problem = self.problem or f"cannot {transition}: {reason}"
        self.get_logger().error(f"cannot {transition}: {reason}")

    def _arrive(self, state: str) -> TransitionCallbackReturn:
        self.state = state
        return TransitionCallbackReturn.SUCCESS

    def _changed(self, config: C) -> None:
        if self.state in {"inactive", "active"}:
            if self.energy.budget is not None:
                self.energy.budget.settings = config.energy.budget
            self.changed(config)

    def _full_report(self) -> Report:
        if not self.problem:
            report = (
                self.report()
                if self.state == "active"
                else Report(Level.OK, self.state, standard_values(self.state))
            )
            return self.energy.judge(report)
        return Report(Level.ERROR, self.problem, standard_values(self.state, last_failure=self.problem))
