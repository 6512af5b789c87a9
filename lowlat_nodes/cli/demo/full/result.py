# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a run of the whole graph amounts to: its figures, and whether all was as it should be."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.result import ABSTAINED
from lowlat_nodes.cli.demo.full.heard import Heard, Status
from lowlat_nodes.cli.demo.full.night import Account
from lowlat_nodes.cli.demo.full.settings import FullSettings
from lowlat_nodes.cli.demo.result import HIT_RATE, STALLS_SHARE, Check
from lowlat_nodes.stream.payload import Floats
from lowlat_nodes.transport.bag import BagError, BagReader

POLICY, DETECTOR, ALERTS = "policy_node", "detector_node", "alert_node"
RECORDER, REPLAY, CAMERA = "recorder_node", "alert_replay_node", "shapes_camera_node"

TICK_LATE_P99_MS = 5.0
FRAMES_SHARE = 0.5
"""What is reached on two busy cores; stalls and losses are allowed none."""


@dataclass(frozen=True, eq=False)
class FullResult:
    """A run, and all that was counted beside it.

    Attributes:
        settings: What it was told to do.
        heard: What the driver heard.
        account: What became of each alert; None without alerts.
        use: Cores, memory and processes by node.
        energy: kind, watts, unit and so on by node.
        up: How each node ended.
        bag: What is in the bag, as `read_bag` says it; None without a recorder.
    """

    settings: FullSettings
    heard: Heard
    account: Account | None
    use: Mapping[str, Mapping[str, Any]]
    energy: Mapping[str, Mapping[str, Any]]
    up: Mapping[str, Mapping[str, Any]]
    bag: Mapping[str, Any] | None

    def figures(self) -> dict[str, Any]:
        """Return the figures of `lowlat demo --full --json`; what is not known is None."""
        return {
            "seconds": round(self.heard.seconds, 3),
            "control": self._control(),
            "detector": self._detector(),
            "alerts": self._alerts(),
            "bag": None if self.bag is None else self._bag(self.bag),
            "energy": self._energy(),
            "nodes": {name: self._node(name) for name in self.settings.nodes},
            "total": self._total(),
        }

    def _control(self) -> dict[str, Any]:
        heard = self.heard
        last = heard.last(POLICY)
        before = [each for each in heard.statuses.get(POLICY, ()) if each.at_ns <= heard.start_ns]

        def since(name: str) -> int | None:
            now = _whole(last, name)
            return None if now is None else now - (_whole(before[-1], name) or 0 if before else 0)

        lights, touched = heard.light_times_s("on"), heard.light_times_s("hit")
        return {
            "stalls": _whole(last, "stalls"),  # since the node is active
            "tick_late_p50_ms": _figure(last, "tick_late_p50_ms"),
            "tick_late_p99_ms": _figure(last, "tick_late_p99_ms"),
            "tick_late_max_ms": _figure(last, "tick_late_max_ms"),
            "publish_late_p99_ms": _figure(last, "publish_late_p99_ms"),
            "ticks": _whole(last, "ticks"),
            "stalled_ticks": since("stalled_ticks"),
            "inferences": since("inferences"),
            "inference_p50_ms": _figure(last, "inference_p50_ms"),
            "observation_age_p99_ms": _figure(last, "observation_age_p99_ms"),
            "lights": len(lights),
            "touched": len(touched),
            "sched": last.values.get("sched", "") if last else "",
        }

    def _detector(self) -> dict[str, Any] | None:
        if DETECTOR not in self.settings.nodes:
            return None
        ages_ms, frames = self.heard.frame_ages_ms(), self.heard.frames
        last = self.heard.last(DETECTOR)
        return {
            "frames": len(frames),
            "rate_hz": round(len(frames) / self.heard.seconds, 2),
            "detections": sum(int(frame["detections"]) for frame in frames),
            **_quantiles("age", ages_ms),
            "model_p50_ms": _round(float(np.median([frame["model_ns"] for frame in frames])) * 1e-6)
            if frames
            else None,
            "backend": last.values.get("backend", "") if last else "",
        }

    def _alerts(self) -> dict[str, Any] | None:
        counted, results = self.account, self.heard.results
        if counted is None:
            return None
        named = [result for result in results if result["best"] != ABSTAINED]
        truths = {id(result): str(result["object_id"]).rpartition(" ")[0] for result in results}
        known = [result for result in named if truths[id(result)] in CLASSES]
        return {
            "sent": counted.sent,
            "results": counted.results,
            "dead_letters": counted.dead_letters,
            "lost": len(counted.lost),
            "lost_identities": list(counted.lost[:20]),
            "repeated": counted.repeated,
            "strange": counted.strange,
            "classified": len(named),
            "right": sum(result["best"] == truths[id(result)] for result in known),
            "by_class": dict(Counter(str(result["best"]) for result in results).most_common()),
            **_quantiles("latency", self.heard.result_latencies_ms()),
        }

    def _bag(self, bag: Mapping[str, Any]) -> dict[str, Any]:
        last = self.heard.last(RECORDER)
        return {
            **bag,
            "lost": _whole(last, "drops.lost") or 0,
            "dropped": _whole(last, "drops.slow_disk") or 0,
        }

    def _energy(self) -> dict[str, Any]:
        per_result = {}
        for name, each in self.energy.items():
            joules = None if each["watts"] is None else each["watts"] * each.get("seconds", 0.0)
            known = joules is not None and each["results"]
            per_result[name] = float(f"{joules / each['results']:.4g}") if known else None
        return {
            "kind": {name: each["kind"] for name, each in self.energy.items()},
            "watts": {
                name: None if each["watts"] is None else float(f"{each['watts']:.4g}")
                for name, each in self.energy.items()
            },
            "j_per_result": per_result,
            "unit": {name: each["unit"] for name, each in self.energy.items()},
            "meters": sorted({meter for each in self.energy.values() for meter in each["meters"]}),
            "why": sorted({each["why"] for each in self.energy.values() if each["why"]}),
        }

    def _node(self, name: str) -> dict[str, Any]:
        heard, last = self.heard, self.heard.last(name)
        use, up = self.use.get(name, {}), self.up.get(name, {})

        def over(figure: str, how: Any) -> float | None:
            values = heard.series(name, figure)[1]
            values = values[np.isfinite(values)]
            return _round(float(how(values))) if values.size else None

        return {
            "state": last.values.get("state", "") if last else "",
            "message": last.message if last else "",
            "rate_in_hz": over("rate_in_hz", np.mean),
            "rate_out_hz": over("rate_out_hz", np.mean),
            "latency_p50_ms": over("latency_p50_ms", np.median),
            "latency_worst_ms": over("latency_p99_ms", np.max),
            "age_p50_ms": over("age_p50_ms", np.median),
            "age_worst_ms": over("age_p99_ms", np.max),
            "drops": _drops(last),
            "failures": _whole(last, "failures"),
            "cpu": _round(use["cpu"]) if use else None,
            "memory_mb": _round(use["memory_mb"]) if use else None,
            "processes": use.get("processes"),
            "restarts": up.get("restarts"),
            "exit_code": up.get("exit_code"),
        }

    def _total(self) -> dict[str, Any]:
        return {
            "cpu": _round(sum(each["cpu"] for each in self.use.values())),
            "memory_mb": _round(sum(each["memory_mb"] for each in self.use.values())),
            "processes": sum(each["processes"] for each in self.use.values()),
            "restarts": sum(each["restarts"] for each in self.up.values()),
        }

    def checks(self) -> list[Check]:
        """Return what must hold for the graph to have worked, each with its sentence."""
        figures = self.figures()
        control, nodes = figures["control"], figures["nodes"]
        late_ms, stalled = control["tick_late_p99_ms"], control["stalled_ticks"]
        found = [
            Check(
                control["stalls"] == 0,
                f"{_count(control['stalls'])} of {_count(control['ticks'])} commands came later than one "
                "period after their deadline.",
            ),
            Check(
                late_ms is not None and late_ms <= TICK_LATE_P99_MS,
                f"99 % of the ticks were served within {_count(late_ms)} ms; {TICK_LATE_P99_MS:g} ms are "
                "allowed.",
            ),
            Check(
                stalled is not None and stalled <= STALLS_SHARE * (control["ticks"] or 0),
                f"{_count(stalled)} ticks were not served by an unexpired chunk.",
            ),
            Check(
                control["touched"] >= HIT_RATE * control["lights"] > 0,
                f"{control['touched']} of {control['lights']} lights were touched in time.",
            ),
        ]
        if figures["detector"] is not None:
            found.append(self._frames_check(figures))
        if figures["alerts"] is not None:
            found += _alert_checks(figures["alerts"])
        if figures["bag"] is not None:
            found += _bag_checks(figures["bag"])
        for name, node in nodes.items():
            found.append(
                Check(
                    node["restarts"] == 0 and node["exit_code"] == 0,
                    f"{name} was started again {_count(node['restarts'])} times, and ended with exit code "
                    f"{_count(node['exit_code'])}.",
                )
            )
        return found

    def _frames_check(self, figures: Mapping[str, Any]) -> Check:
        detector, camera = figures["detector"], figures["nodes"].get(CAMERA, {})
        offered_hz = camera.get("rate_out_hz")
        wanted = detector["frames"] > 0 and (
            offered_hz is None or detector["rate_hz"] >= FRAMES_SHARE * offered_hz
        )
        offer = "" if offered_hz is None else f" of {offered_hz:g}"
        return Check(wanted, f"The detector was done with {detector['rate_hz']:g}{offer} frames a second.")


def read_bag(path: Path) -> dict[str, Any]:
    """Read a bag to its end and return what is in it.

    Returns:
        `messages`, `topics` (messages by name), `mb` on the disk, and `damage`, empty if it is whole.
    """
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    try:
        with BagReader(path) as bag:
            for _ in bag.messages():
                pass
            counts, damage = dict(bag.read), "; ".join(bag.damage)
    except BagError as error:
        counts, damage = {}, str(error)
    return {"messages": sum(counts.values()), "topics": counts, "mb": _round(size * 1e-6), "damage": damage}


def _alert_checks(alerts: Mapping[str, Any]) -> list[Check]:
    whole = f"{alerts['results']} results and {alerts['dead_letters']} dead letters"
    return [
        Check(
            alerts["lost"] == 0 and alerts["sent"] > 0,
            f"Of {alerts['sent']} alerts that were sent, {alerts['lost']} were lost: {whole} arrived.",
        ),
        Check(
            not alerts["repeated"] and not alerts["strange"],
            f"{alerts['repeated']} results came again, {alerts['strange']} were of alerts that nobody sent.",
        ),
    ]


def _bag_checks(bag: Mapping[str, Any]) -> list[Check]:
    silent = [name for name, count in bag["topics"].items() if not count]
    return [
        Check(
            not bag["damage"] and bag["messages"] > 0 and not silent,
            f"The bag can be read to its end: {bag['messages']} messages of {len(bag['topics'])} topics"
            f"{'; ' + bag['damage'] if bag['damage'] else ''}.",
        ),
        Check(
            bag["lost"] + bag["dropped"] == 0,
            f"{bag['lost']} messages did not reach the recorder, {bag['dropped']} not its disk.",
        ),
    ]


def _drops(status: Status | None) -> dict[str, int]:
    """Return what a node dropped since it is active, by reason."""
    if status is None:
        return {}
    reasons = (name for name in status.values if name.startswith("drops."))
    found = {name.removeprefix("drops."): _whole(status, name) or 0 for name in reasons}
    return {reason: count for reason, count in found.items() if count}


def _quantiles(name: str, values: Floats) -> dict[str, float | None]:
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {
        f"{name}_{word}_ms": _round(float(np.quantile(values, share))) if values.size else None
        for word, share in shares.items()
    }


def _whole(status: Status | None, name: str) -> int | None:
    text = status.values.get(name, "") if status else ""
    return int(text) if text.isdecimal() else None


def _figure(status: Status | None, name: str) -> float | None:
    value = status.number(name) if status else math.nan
    return None if math.isnan(value) else value


def _round(value: float) -> float:
    return float(f"{value:.4g}")


def _count(number: float | None) -> str:
    return "an unknown number of" if number is None else f"{number:g}"
