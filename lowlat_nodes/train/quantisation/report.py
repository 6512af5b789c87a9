# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What is said of a quantisation."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from lowlat_nodes.train.quantisation.quantise import Job, Outcome

_WORST: Final = 8
_WORTH_IT: Final = 1.1


def as_json(job: Job, outcome: Outcome) -> dict[str, Any]:
    """Return all figures, as JSON has them."""
    verdict = outcome.verdict
    return {
        "passed": outcome.written,
        "reasons": list(verdict.reasons),
        "reference": "fp32 model" if outcome.agreement else "labels",
        "ap_fp32": verdict.ap_fp32,
        "ap_int8": verdict.ap_int8,
        "drop": verdict.drop,
        "score_ratio": verdict.score_ratio,
        "runtime": job.runtime,
        "layers_int8": outcome.layers,
        "layers": [{"name": layer.name, "damage": layer.damage} for layer in outcome.ranked],
        "excluded": list(outcome.excluded),
        "milliseconds": outcome.milliseconds,
        "speedup": outcome.milliseconds["fp32"] / outcome.milliseconds["int8"],
        "out": str(job.out) if outcome.written else None,
        "bytes": outcome.size,
        "sha256": outcome.sha256,
        "quantised_from": job.source.sha256,
    }


def as_text(job: Job, outcome: Outcome) -> str:
    """Return the same for people."""
    verdict = outcome.verdict
    measured = "agreement with the fp32 model" if outcome.agreement else "AP"
    lines = [
        f"{measured}: {verdict.ap_fp32:.4f} in fp32, {verdict.ap_int8:.4f} in INT8 ({-verdict.drop:+.4f})",
        f"best score of an image, INT8 to fp32, median: {verdict.score_ratio:.3f}",
        *_times(job, outcome),
    ]
    if outcome.agreement:
        lines.insert(0, "No labels: what the fp32 model is sure of stands for the truth.")
    if outcome.ranked:
        lines.append("what each layer costs if it alone is quantised (0 nothing, 1 every detection):")
        lines += [
            f"  {layer.damage:.4f}  {layer.name}{'  (kept in fp32)' * (layer.name in outcome.excluded)}"
            for layer in outcome.ranked[:_WORST]
        ]
    if outcome.written:
        lines.append(
            f"wrote {job.out}: {outcome.layers} layers in INT8, {outcome.size} bytes, "
            f"{_share(job.source.path, outcome.size)} of the model; sha256 {outcome.sha256}"
        )
    else:
        lines.append(f"refused, nothing was written: {'; '.join(verdict.reasons)}")
        if not job.repair:
            lines.append("--repair keeps the worst layers in fp32, one after the other, until it passes")
    return "\n".join(lines)


def _times(job: Job, outcome: Outcome) -> list[str]:
    times = outcome.milliseconds
    speedup = times["fp32"] / times["int8"]
    lines = [
        f"{job.runtime}, 1 thread: "
        + ", ".join(f"{name} {value:.2f} ms" for name, value in times.items())
        + f"; INT8 is {speedup:.2f} times as fast as fp32 here"
    ]
    if speedup < _WORTH_IT:
        lines.append("INT8 does not pay on this machine with this runtime")
    elif times.get("bf16", float("inf")) < times["int8"]:
        lines.append("the fp32 file in bf16 (backend.precision: bf16) is faster than INT8 on this machine")
    return lines


def _share(path: Path, size: int) -> str:
    return f"{size / path.stat().st_size:.0%}"
