# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The worker and the tick of one policy node as child processes: started, connected, watched, replaced."""

from __future__ import annotations

import dataclasses
import math
import select
import subprocess
import time
from collections.abc import Callable
from typing import Any

from lowlat_nodes.control.config import ControlConfig
from lowlat_nodes.control.policies.policy import PolicySpec
from lowlat_nodes.nodes.camera_server import CameraServer
from lowlat_nodes.nodes.child import start_child
from lowlat_nodes.nodes.policy_config import PolicyNodeConfig
from lowlat_nodes.nodes.policy_messages import pack, unpack
from lowlat_nodes.nodes.stop import StopRequest
from lowlat_nodes.stream.config import to_flat
from lowlat_nodes.stream.errors import ConfigurationError, LowlatError
from lowlat_nodes.transport.channel import Channel, ChannelClosedError

_TICK_READY_S = 30.0
_TICK_SILENT_S = 5.0  # it reports five times a second, so it hangs
_TICK_END_S = 8.5  # it brakes for 7 s at most, and makes sure of the last command for 1 s
_WORKER_END_S = 1.0
_BACK_OFF_S = (0.0, 0.25, 0.5, 1.0, 2.0)
_FORGIVEN_S = 30.0
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
    """

    name: str
    namespace: str
    joint_topic: str
    command_topic: str
    use_sim_time: bool
    qos: dict[str, Any] = dataclasses.field(default_factory=dict)


class PolicyProcesses:
    """Keeps one tick and one worker alive.

    Args:
        config: The node's parameters.
        wiring: Resolved names.
        cameras: Where workers get their images from.
        hear: Called with the kind and content of each message from the tick.
        stop: Ends the wait for them to come up.

    Attributes:
        spec: What the policy says of itself.
        sched: The scheduling that the tick was granted.
        worker_restarts: How many times the worker was replaced.

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
        self.worker_restarts = 0
        self.worker_problem = ""
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
        self._ended_s: list[float] = []
        self._restart_at_s: float | None = None
        self._tick: subprocess.Popen[bytes] | None = None
        self._start_worker()
        try:
            content = self._await(self._worker_channel, "the policy", self._load_timeout_s)
            self._loaded_by_s = math.inf
            _check_timeout(content["warm_ns"] * 1e-6, config.policy.timeout_ms)
            self.spec = PolicySpec.from_plain(content["spec"])
            self._tick, self._tick_channel = start_child("lowlat_nodes.nodes.policy_tick")
            self._tick_channel.send(
                pack(
                    "setup",
                    config=self._flat,
                    spec=content["spec"],
                    realtime=to_flat(config.realtime),
                    **{**dataclasses.asdict(wiring), "name": f"{wiring.name}_tick"},
                )
            )
            self.sched: str = self._await(self._tick_channel, "the tick process", _TICK_READY_S)["sched"]
            self._heard_s = time.monotonic()
            self._connect(content["warm_ns"])
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
        self._watch_worker()

    def replace_worker(self, reason: str) -> None:
        """End a worker that hangs; `watch` starts another one."""
        self.worker_problem = reason
        self._worker.kill()

    def close(self) -> None:
        """End both children: the tick brakes, the worker may finish its inference, but not for long."""
        self._worker_channel.close()
        if self._tick is not None:
            self._tick_channel.close()
            _end(self._tick, _TICK_END_S)
        _end(self._worker, _WORKER_END_S)

    def _start_worker(self) -> None:
        self._worker, self._worker_channel = start_child("lowlat_nodes.nodes.policy_worker")
        self._loaded_by_s = time.monotonic() + self._load_timeout_s
        cameras = self._cameras.connect()
        self._worker_channel.send(
            pack("setup", config=self._flat, nice=self._config.realtime.worker_nice),
            descriptor=cameras.fileno(),
        )
        cameras.close()

    def _watch_worker(self) -> None:
        if self._restart_at_s is not None:
            if time.monotonic() >= self._restart_at_s:
                self._restart_at_s = None
                self._start_worker()
            return
        try:
            data = self._worker_channel.receive()
        except ChannelClosedError:
            self._worker_channel.close()
            self._worker.kill()
            status = self._worker.wait()
            self.worker_problem = self.worker_problem or f"the policy process ended with status {status}"
            self.worker_restarts += 1
            now_s = time.monotonic()
            self._ended_s = [ended_s for ended_s in self._ended_s if ended_s > now_s - _FORGIVEN_S] + [now_s]
            self._restart_at_s = now_s + _BACK_OFF_S[min(len(self._ended_s), len(_BACK_OFF_S)) - 1]
            return
        if data is None:
            if time.monotonic() > self._loaded_by_s:
                self._loaded_by_s = math.inf
                self.replace_worker(_late("the policy", self._load_timeout_s))
            return
        self._loaded_by_s = math.inf
        kind, content = unpack(data)
        if kind == "ready" and PolicySpec.from_plain(content["spec"]) != self.spec:
            self.replace_worker("the policy is another one than at configuration; configure the node anew")
        elif kind == "ready":
            self.worker_problem = ""
            self._connect(content["warm_ns"])
        elif kind == "refused":
            self.worker_problem = content["reason"]

    def _connect(self, warm_ns: int) -> None:
        """Give tick and worker the two ends of a channel."""
        ticks, workers = Channel.pair()
        self._tick_channel.send(pack("policy", warm_ns=warm_ns), descriptor=ticks.fileno())
        self._worker_channel.send(pack("tick"), descriptor=workers.fileno())
        ticks.close()
        workers.close()

    def _await(self, channel: Channel, what: str, timeout_s: float) -> dict[str, Any]:
        """Wait for the word of a child that it is ready."""
        watched = [channel] if self._stop is None else [channel, self._stop]
        ready, _, _ = select.select(watched, [], [], timeout_s)
        if self._stop in ready:
            raise ConfigurationError(f"told to stop before {what} was ready")
        if not ready:
            raise ConfigurationError(_late(what, timeout_s))
        try:
            data = channel.receive()
        except ChannelClosedError as error:
            raise ConfigurationError(f"{what} ended while starting; its output says why") from error
        assert data is not None
        kind, content = unpack(data)
        if kind == "refused":
            raise ConfigurationError(content["reason"])
        return content


def _late(what: str, timeout_s: float) -> str:
    return f"{what} was not ready within {timeout_s:g} s; see policy.load_timeout_ms"


def _check_timeout(warm_ms: float, timeout_ms: float) -> None:
    """Refuse a timeout that every inference would break, which would replace the worker for ever."""
    if warm_ms >= timeout_ms:
        raise ConfigurationError(
            f"policy.timeout_ms: expected more than {warm_ms:.0f} ms, which an inference takes once the "
            f"policy is warm (see policy.inference_delay_ms), got {timeout_ms:g}"
        )


def _end(process: subprocess.Popen[bytes], patience_s: float) -> None:
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
