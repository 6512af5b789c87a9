# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`policy_node`: drives a robot with a policy that thinks while the robot moves.

The lifecycle node itself only configures, watches and reports. Commands come from `policy.tick`, inferences
from `policy.worker` and corrections from `policy.corrector`, each in a process of its own, because in one
interpreter a policy that holds the lock makes a 500 Hz tick 3 to 70 ms late.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String
from std_srvs.srv import Trigger

from lowlat_nodes.energy.budget import Leeway, Order
from lowlat_nodes.energy.guard import Guard
from lowlat_nodes.nodes.base import LifecycleHost
from lowlat_nodes.nodes.counting import CHUNK
from lowlat_nodes.nodes.diagnostics import Level, Report, judge_guard, judge_turn, standard_values
from lowlat_nodes.nodes.guards import MS, inference_guard
from lowlat_nodes.nodes.policy.camera_server import CameraServer
from lowlat_nodes.nodes.policy.config import PolicyNodeConfig
from lowlat_nodes.nodes.policy.messages import LONGEST_TASK
from lowlat_nodes.nodes.policy.processes import PolicyProcesses, TickLostError, Wiring
from lowlat_nodes.nodes.run import run
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.ros.topics import Input, overridable

_WATCH_S = 0.05
_POLICY = "the policy"  # the only source of inferences
_SILENT_S = 1.0
_QUEUE = 10
_ACCEPTED = frozenset({"chunks_scheduled", "chunks_swapped", "chunks_aligned", "chunks_trimmed"})
_ALWAYS = ("ticks", "stalls", "stalled_ticks", "misses", "inferences")
_FAILURES = ("failures_", "images_", "states_", "state_", "policy_losses", "corrector_losses")
_WORTH_A_WARNING = (
    "stalls",
    "misses",
    "clock_jumps",
    "chunks_not_finite",
    "corrections_not_finite",
    *_FAILURES,
)


class PolicyNode(LifecycleHost[PolicyNodeConfig]):
    """Observes joints, cameras and a task; publishes commands at a fixed rate.

    ============== ===================================================================================
    ~/start        std_srvs/Trigger: allow motion
    ~/stop         std_srvs/Trigger: brake to a stand and stay there
    ~/inferences   std_msgs/String, one JSON object per inference: when it saw, began, came and took over
    ============== ===================================================================================
    """

    unit = CHUNK

    def __init__(self, **ros: Any) -> None:
        self._processes: PolicyProcesses | None = None
        self._guard: Guard | None = None
        self._activation = 0
        self._status: dict[str, Any] = {}  # of this activation
        self._reported: dict[str, Any] = {}
        self._fresh: dict[str, int] = {}
        self._rates = (float("nan"), float("nan"))
        self._endpoints: list[Callable[[], Any]] = []
        super().__init__("policy_node", PolicyNodeConfig, task="policy", **ros)

    def setup(self, config: PolicyNodeConfig) -> None:
        """Load the policy in its process and prepare the tick; nothing moves yet."""
        observation = config.observation
        if len(observation.task.text) > LONGEST_TASK:
            raise ConfigurationError(
                f"observation.task.text: expected at most {LONGEST_TASK} characters, got "
                f"{len(observation.task.text)}"
            )
        wiring = Wiring(
            name=self.get_name(),
            namespace=self.get_namespace(),
            joint_topic=self.resolve_topic_name(observation.joints.topic),
            command_topic=self.resolve_topic_name(config.command.topic),
            use_sim_time=bool(self.get_parameter("use_sim_time").value),
            qos={
                f"qos_overrides.{name}": parameter.value
                for name, parameter in self.get_parameters_by_prefix("qos_overrides").items()
            },
            counted=self.get_fully_qualified_name() if config.energy.enabled else "",
        )
        cameras = CameraServer(
            f"{self.get_name()}_cameras",
            self.get_namespace(),
            {
                name: Input(
                    topic=self.resolve_topic_name(camera.topic),
                    type_name=camera.type_name,
                    reliability=camera.reliability,
                )
                for name, camera in observation.camera.items()
            },
            self.context,
            wiring.qos,
            config.execution.change_threshold,
        )
        self._endpoints.append(cameras.close)
        self._processes = PolicyProcesses(config, wiring, cameras, self._hear, self.stop)
        self._steps = config.steps(self._processes.spec)
        self._guard = inference_guard(config.energy.guard, self._processes.spec, config.policy.timeout_ms)
        self._start_on_activate = config.start_on_activate
        self._timeout_ms = config.policy.timeout_ms
        self._strategy = config.execution.strategy
        self._tick_hz = config.tick_hz
        self._inferences = self.create_publisher(
            String, "~/inferences", QoSProfile(depth=_QUEUE), qos_overriding_options=overridable()
        )
        self._endpoints.append(partial(self.destroy_publisher, self._inferences))
        for name, callback in (("~/start", self._on_start), ("~/stop", self._on_stop)):
            self._endpoints.append(
                partial(self.destroy_service, self.create_service(Trigger, name, callback))
            )
        # A latched task reaches only subscriptions that ask for it, and those do not match plain publishers,
        # which is nothing to warn of.
        silent = SubscriptionEventCallbacks(use_default_callbacks=False)
        for durability in (DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE):
            subscription = self.create_subscription(
                String,
                observation.task.topic,
                self._on_task,
                QoSProfile(depth=1, durability=durability),
                event_callbacks=silent,
                qos_overriding_options=overridable(durability=False),
            )
            self._endpoints.append(partial(self.destroy_subscription, subscription))
        timer = self.create_timer(_WATCH_S, self._watch, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._endpoints.append(partial(self.destroy_timer, timer))
        self.get_logger().info(
            f"policy loaded: {len(self._processes.spec.delta)} joints, horizon "
            f"{self._processes.spec.horizon} x {self._processes.spec.action_period_ns * 1e-6:g} ms, tick "
            f"{config.tick_hz:g} Hz with {self._processes.sched}"
        )

    def begin(self) -> None:
        """Begin to tick, and to move unless `~/start` shall say so."""
        assert self._processes is not None
        self._status, self._reported = {}, {}
        self._activation += 1
        self._processes.tell("activate", number=self._activation, start=self._start_on_activate)

    def halt(self) -> None:
        """Brake to a stand and send no more commands."""
        if self._processes is not None:
            self._processes.tell("deactivate")

    def teardown(self) -> None:
        """End the processes."""
        if self._processes is not None:
            self._processes.close()
            self._processes = self._guard = None
        while self._endpoints:
            self._endpoints.pop()()

    def leeway(self) -> Leeway:
        """Return that inferences may be as rare as chunks last, less the time that one takes, or cheaper."""
        if not self._status:
            return Leeway()
        return Leeway(1e3 / self._status["longest_pace_ms"], len(self._steps))

    def obey(self, order: Order) -> None:
        """Infer more rarely or in fewer steps; ticks go on as ever, and a chunk until the next is there."""
        if self._processes is None:
            return
        try:
            self._processes.tell("pace", period_ns=round(1e9 / order.max_hz), steps=self._steps[order.model])
        except TickLostError as error:
            self.get_logger().error(f"energy budget: {error}")

    def report(self) -> Report:
        """Return what the tick process told last, and how the policy process is."""
        assert self._processes is not None
        status, workers = self._status, self._processes.workers
        problems = [worker.problem for worker in workers if worker.problem]
        silent_s = self._processes.silent_s
        if silent_s > _SILENT_S:
            summary = f"no word from the tick process for {silent_s:.1f} s"
            values = {**standard_values(self.state), "loop_age_ms": silent_s * 1e3}
            return Report(Level.ERROR, summary, values)
        if not status:
            return Report(Level.STALE, "no word from the tick process yet", standard_values(self.state))
        if status is not self._reported:
            self._compare(self._reported, status)
            self._reported = status
        counters: dict[str, int] = status["counters"]
        refused = {
            name.removeprefix("chunks_"): count
            for name, count in counters.items()
            if name.startswith("chunks_") and name not in _ACCEPTED
        }
        failures = {name: count for name, count in counters.items() if name.startswith(_FAILURES)}
        values = standard_values(
            self.state,
            figures=self._figures(status),
            drops=refused,
            failures=failures,
            last_failure=problems[0] if problems else status["refusal"],
        )
        values |= {name: counters.get(name, 0) for name in _ALWAYS} | counters
        values |= {f"limited.{name}": count for name, count in status["limits"].items()}
        values |= {
            f"{name}_{share}_ms": value
            for name, quantiles in status["quantiles_ms"].items()
            for share, value in zip(("p50", "p99", "p999", "max"), quantiles, strict=True)
        }
        values |= status["launch"]
        values |= {
            "loop_age_ms": silent_s * 1e3,
            "served": status["served"],
            "strategy": self._strategy,
            "delay_estimate_ms": status["delay_estimate_ms"],
            "standby_ticks": status["standby_ticks"],
            "sched": self._processes.sched,
            "workers": status["workers"],
            "worker_restarts": sum(worker.restarts for worker in workers),
            "reports_lost": status["reports_lost"],
            "energy.j_per_action": self._joules_per_action(counters),
        }
        corrector = self._processes.corrector
        if corrector is not None:
            values |= {"corrector": corrector.problem or "running", "corrector_restarts": corrector.restarts}
        if status["choice"]:
            values["strategy_choice"] = status["choice"]
        level, summary = self._judge(status, problems)
        assert self._guard is not None
        report = judge_guard(Report(level, summary, values), self._guard.state(), MS)
        return judge_turn(report, workers[0].figures)

    def _joules_per_action(self, counters: dict[str, int]) -> float:
        """Return the energy of a row of a chunk that the robot executed; NaN where it is not known."""
        assert self._processes is not None
        chunks, executed_s = counters.get("inferences", 0), counters.get("ticks_of_chunks", 0) / self._tick_hz
        if not executed_s:
            return float("nan")
        actions = executed_s * 1e9 / self._processes.spec.action_period_ns
        return self.energy.headline.joules_per_result * chunks / actions

    def _judge(self, status: dict[str, Any], problems: list[str]) -> tuple[Level, str]:
        assert self._processes is not None
        workers = len(self._processes.workers)
        if len(problems) == workers:
            return Level.ERROR, f"no policy: {problems[0]}"
        if status["served"] == "stale":
            return Level.ERROR, f"no fresh joint states, holding. {status['refusal']}"
        if not status["served"]:
            return Level.WARN, f"waiting for joint states. {status['refusal']}"
        if not status["running"]:
            return Level.OK, "stopped"
        if problems:
            return Level.WARN, f"{len(problems)} of {workers} processes have no policy: {problems[0]}"
        corrector = self._processes.corrector
        if corrector is not None and corrector.problem:
            return Level.WARN, f"plan not corrected: {corrector.problem}"
        if self._fresh:
            detail = f". {status['refusal']}" if status["refusal"] else ""
            return Level.WARN, ", ".join(f"{name} {count}" for name, count in self._fresh.items()) + detail
        return Level.OK, f"running, {status['choice']}" if status["choice"] else "running"

    def _compare(self, former: dict[str, Any], status: dict[str, Any]) -> None:
        """Note what is new in a status: rates, and counts that are worth a warning."""
        self._fresh, self._rates = {}, (float("nan"), float("nan"))
        if not former:
            return
        counters: dict[str, int] = status["counters"]
        before: dict[str, int] = former["counters"]
        self._fresh = {
            name: count - before.get(name, 0)
            for name, count in counters.items()
            if count > before.get(name, 0) and name.startswith(_WORTH_A_WARNING)
        }
        elapsed_s = (status["time_ns"] - former["time_ns"]) * 1e-9
        ticks = counters.get("ticks", 0) - before.get("ticks", 0)
        self._rates = ((status["states"] - former["states"]) / elapsed_s, ticks / elapsed_s)

    def _figures(self, status: dict[str, Any]) -> dict[str, float]:
        """Return the standard figures: joint states in, commands out, observation to takeover, inference."""
        window, nothing = status["window_ms"], [float("nan")] * 4
        age, latency = window.get("observation_age", nothing), window.get("inference", nothing)
        return {
            "rate_in_hz": self._rates[0],
            "rate_out_hz": self._rates[1],
            "age_p50_ms": age[0],
            "age_p99_ms": age[1],
            "latency_p50_ms": latency[0],
            "latency_p99_ms": latency[1],
        }

    def _watch(self) -> None:
        """Hear the processes, replace what died or hangs; without a tick process this node must not go on."""
        if self._processes is None:
            return
        try:
            self._processes.watch()
        except TickLostError as error:
            self.fatal = str(error)
            self.get_logger().fatal(str(error))

    def _hear(self, kind: str, content: dict[str, Any]) -> None:
        if kind == "inference":
            self._note(content["inference_ms"])
            self._inferences.publish(String(data=json.dumps(content)))
            return
        if kind != "status":
            return
        if content["activation"] == self._activation:
            self._status = content
        if self._processes is None:
            return
        for number, in_flight_ms in content["in_flight_ms"]:
            if in_flight_ms > self._timeout_ms:
                reason = f"an inference took longer than {self._timeout_ms:g} ms"
                self._processes.workers[number].replace(reason)
        self._processes.judge_corrector(content["corrector_silent_ms"])

    def _note(self, inference_ms: float) -> None:
        """Count the time of an inference, which nobody knew before."""
        if self._guard is None:
            return
        limit_ms = self._guard.limit(_POLICY)
        self._guard.note(inference_ms, cut=inference_ms > limit_ms, source=_POLICY)

    def _on_task(self, message: String) -> None:
        if len(message.data) > LONGEST_TASK:
            self.get_logger().warning(f"task ignored: expected at most {LONGEST_TASK} characters")
        elif self._processes is not None:
            try:
                self._processes.tell("task", text=message.data)
            except TickLostError as error:
                self.get_logger().error(f"task {message.data!r} lost: {error}")

    def _on_start(self, _request: Any, response: Trigger.Response) -> Trigger.Response:
        return self._order("start", response)

    def _on_stop(self, _request: Any, response: Trigger.Response) -> Trigger.Response:
        return self._order("stop", response)

    def _order(self, order: str, response: Trigger.Response) -> Trigger.Response:
        if self.state != "active" or self._processes is None:
            response.message = f"expected an active node to {order}, it is {self.state}"
            return response
        try:
            self._processes.tell(order)
            response.success = True
        except TickLostError as error:
            response.message = str(error)
        return response


def main(argv: Sequence[str] | None = None) -> int:
    """Run the policy node as a process."""
    return run(PolicyNode, argv)


if __name__ == "__main__":
    sys.exit(main())
