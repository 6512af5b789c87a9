# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The tick, the workers and the corrector of one policy node: started, connected, watched, replaced."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from lowlat_nodes.control.config import ControlConfig
from lowlat_nodes.control.policies.policy import PolicySpec
from lowlat_nodes.nodes.child import start_child
from lowlat_nodes.nodes.kept_process import KeptProcess, await_ready, end
from lowlat_nodes.nodes.policy.camera_server import CameraServer
from lowlat_nodes.nodes.policy.config import PolicyNodeConfig
from lowlat_nodes.nodes.policy.messages import pack, unpack
from lowlat_nodes.nodes.stop import StopRequest
from lowlat_nodes.stream.config import to_flat
from lowlat_nodes.stream.errors import ConfigurationError, LowlatError
from lowlat_nodes.transport.channel import Channel, ChannelClosedError

_TICK_READY_S = 30.0
_TICK_SILENT_S = 5.0  # it reports five times a second, so it hangs
_TICK_END_S = 8.5  # it brakes for 7 s at most, and makes sure of the last command for 1 s
_WORKER_END_S = 1.0
_CORRECTOR_SILENT_MS = 2000.0  # it is asked at every tick, and answers within a few
_CORRECTOR_GOES_BEFORE = 5  # nice levels: it must answer while the policy thinks
_CONTROL_FIELDS = frozenset(field.name for field in dataclasses.fields(ControlConfig))


class TickLostError(LowlatError):
    """The tick process ended or hangs; the robot gets no commands any more."""


@dataclasses.dataclass(frozen=True)
class Wiring:
    """Names that the children need, resolved by the policy node.

    Attributes:
        name: Name of the policy node.
        namespace: Its namespace.
        joint_topic: Full name of the joint state topic.
        command_topic: Full name of the command topic.
        use_sim_time: Whether /clock tells the time.
        qos: The `qos_overrides.*` parameters.
        counted: Under which name their energy is counted, empty for nowhere.
    """

    name: str
    namespace: str
    joint_topic: str
    command_topic: str
    use_sim_time: bool
    qos: dict[str, Any] = dataclasses.field(default_factory=dict)
    counted: str = ""


class PolicyProcesses:
    """Keeps one tick, one worker or more and, where there is one, a corrector alive.

    Args:
        config: The node's parameters.
        wiring: Resolved names.
        cameras: Where workers get their images from.
        hear: Called with the kind and content of each message from the tick.
        stop: Ends the wait for them to come up.

    Attributes:
        spec: What the policy says of itself.
        sched: The scheduling that the tick was granted.
        workers: The policy's processes.
        corrector: The corrector's process, if one is configured.

    Raises:
        ConfigurationError: If the policy does not load, does not fit or does not come up in time, or if a
            stop was asked for meanwhile.
    """

    def __init__(
        self,
        config: PolicyNodeConfig,
        wiring: Wiring,
        cameras: CameraServer,
        hear: Callable[[str, dict[str, Any]], None],
        stop: StopRequest | None = None,
    ) -> None:
        self._config = config
        self._wiring = wiring
        self._cameras = cameras
        self._hear = hear
        self._stop = stop
        self._load_timeout_s = config.policy.load_timeout_ms * 1e-3
        self._flat = {
            name: value
            for name, value in to_flat(config).items()
            if name.partition(".")[0] in _CONTROL_FIELDS
        }
        self._tick: subprocess.Popen[bytes] | None = None
        self.corrector: KeptProcess | None = None
        self.workers = [
            KeptProcess(
                "lowlat_nodes.nodes.policy.worker",
                "the policy",
                partial(
                    self._set_up,
                    nice=config.realtime.worker_nice,
                    turn=to_flat(config.turn),
                    name=f"{wiring.namespace.rstrip('/')}/{wiring.name}",
                ),
                load_timeout_s=self._load_timeout_s,
            )
            for _ in range(config.policy.workers)
        ]
        try:
            policies = [worker.await_first(stop) for worker in self.workers]
            policy, warm_ns = policies[0], max(each["warm_ns"] for each in policies)
            _check_alike([each["spec"] for each in policies])
            _check_timeout(warm_ns * 1e-6, config.policy.timeout_ms)
            self.spec = PolicySpec.from_plain(policy["spec"])
            corrector = self._start_corrector(policy["spec"])
            self._tick, self._tick_channel = start_child("lowlat_nodes.nodes.policy.tick")
            self._tick_channel.send(
                pack(
                    "setup",
                    config=self._flat,
                    spec=policy["spec"],
                    **corrector,
                    realtime=to_flat(config.realtime),
                    **{**dataclasses.asdict(wiring), "name": f"{wiring.name}_tick"},
                )
            )
            ready = await_ready(self._tick_channel, "the tick process", _TICK_READY_S, stop)
            self.sched: str = ready["sched"]
            self._heard_s = time.monotonic()
            for number, worker in enumerate(self.workers):
                self._connect(worker, "policy", number=number, warm_ns=warm_ns)
            if self.corrector is not None:
                self._connect(self.corrector, "corrector")
            if config.execution.change_threshold:
                alarm = cameras.alarm()
                self._tick_channel.send(pack("cameras"), descriptor=alarm.fileno())
                alarm.close()
        except BaseException:
            self.close()
            raise

    @property
    def silent_s(self) -> float:
        """Return for how long the tick, which reports five times a second, has said nothing."""
        return time.monotonic() - self._heard_s

    def tell(self, kind: str, **content: Any) -> None:
        """Tell the tick something.

        Raises:
            TickLostError: If it is gone, or hangs and so does not listen.
        """
        try:
            listens = self._tick_channel.send(pack(kind, **content))
        except ChannelClosedError:
            listens = False
        if not listens:
            raise TickLostError(f"the tick process does not answer; it was told to {kind}")

    def watch(self) -> None:
        """Hear the children and replace a dead worker; call it several times a second.

        Raises:
            TickLostError: If the tick process is gone, or hung and was killed.
        """
        assert self._tick is not None
        try:
            while (data := self._tick_channel.receive()) is not None:
                self._heard_s = time.monotonic()
                self._hear(*unpack(data))
        except ChannelClosedError as error:
            raise TickLostError(f"the tick process ended with status {self._tick.wait()}") from error
        if self.silent_s > _TICK_SILENT_S:
            self._tick.kill()
            raise TickLostError(f"the tick process said nothing for {_TICK_SILENT_S:g} s and was killed")
        for number, worker in enumerate(self.workers):
            policy = worker.watch()
            if policy is not None and PolicySpec.from_plain(policy["spec"]) != self.spec:
                worker.replace("the policy is another one than at configuration; configure the node anew")
            elif policy is not None:
                self._connect(worker, "policy", number=number, warm_ns=policy["warm_ns"])
        if self.corrector is not None:
            corrector = self.corrector.watch()
            if corrector is not None and corrector != self._correction:
                self.corrector.replace("it is another one than at configuration; configure the node anew")
            elif corrector is not None:
                self._connect(self.corrector, "corrector")

    def judge_corrector(self, silent_ms: float) -> None:
        """Replace a corrector that has not answered for too long."""
        if self.corrector is not None and silent_ms > _CORRECTOR_SILENT_MS:
            self.corrector.replace(f"the corrector did not answer for {_CORRECTOR_SILENT_MS:g} ms")

    def close(self) -> None:
        """End all children: the tick brakes, a worker may finish its inference, but not for long."""
        kept = [*self.workers, *([] if self.corrector is None else [self.corrector])]
        for process in kept:
            process.close()
        if self._tick is not None:
            self._tick_channel.close()
            end(self._tick, _TICK_END_S)
        for process in kept:
            process.end(_WORKER_END_S)

    def _start_corrector(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Start the corrector, if there is one; return what it needs to know of the plan and the robot."""
        if not self._config.corrector.model:
            return {"rows": 0, "state_fields": []}
        nice = max(-20, self._config.realtime.worker_nice - _CORRECTOR_GOES_BEFORE)
        self.corrector = KeptProcess(
            "lowlat_nodes.nodes.policy.corrector",
            "the corrector",
            partial(self._set_up, nice=nice, policy=spec),
            load_timeout_s=self._load_timeout_s,
        )
        self._correction = self.corrector.await_first(self._stop)
        return self._correction

    def _set_up(self, channel: Channel, **content: Any) -> None:
        """Tell a new worker or corrector what to load, and where images come from."""
        cameras = self._cameras.connect()
        setup = pack("setup", config=self._flat, counted=self._wiring.counted, **content)
        channel.send(setup, descriptor=cameras.fileno())
        cameras.close()

    def _connect(self, process: KeptProcess, kind: str, **content: Any) -> None:
        """Give the tick and another process the two ends of a channel."""
        ticks, theirs = Channel.pair()
        with contextlib.suppress(ChannelClosedError):  # `watch` sees who has ended
            self._tick_channel.send(pack(kind, **content), descriptor=ticks.fileno())
            process.channel.send(pack("tick"), descriptor=theirs.fileno())
        ticks.close()
        theirs.close()


def _check_alike(specs: list[dict[str, Any]]) -> None:
    for spec in specs[1:]:
        if spec != specs[0]:
            raise ConfigurationError(
                f"policy.workers: expected the same policy in each process, got {specs[0]} and {spec}"
            )


def _check_timeout(warm_ms: float, timeout_ms: float) -> None:
    """Refuse a timeout that every inference would break, which would replace the worker for ever."""
    if warm_ms >= timeout_ms:
        raise ConfigurationError(
            f"policy.timeout_ms: expected more than {warm_ms:.0f} ms, which an inference takes once the "
            f"policy is warm (see policy.inference_delay_ms), got {timeout_ms:g}"
        )
