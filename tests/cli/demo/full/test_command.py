# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat demo --full` without running anything: records that are read again, and what is refused."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.cli.demo import main
from lowlat_nodes.cli.demo.full.command import evaluate
from lowlat_nodes.cli.demo.full.settings import FullSettings
from lowlat_nodes.stream.errors import ConfigurationError

pytest.importorskip("matplotlib")


def score(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any], str]:
    code = main(["--full", "--json", "--score", str(folder)])
    out, err = capsys.readouterr()
    outcome: dict[str, Any] = json.loads(out)
    assert outcome == json.loads((folder / "result.json").read_text())
    return code, outcome, err


def test_a_good_run_has_its_figures(
    fake_full_run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, outcome, err = score(fake_full_run.save(tmp_path / "run"), capsys)

    assert code == 0
    assert outcome["ok"] is True
    control, alerts, energy = outcome["control"], outcome["alerts"], outcome["energy"]
    assert (control["stalls"], control["tick_late_p99_ms"]) == (0, 0.2)
    assert (control["stalled_ticks"], control["inferences"]) == (0, 60)  # since the first light
    assert (control["lights"], control["touched"]) == (5, 4)
    assert outcome["detector"]["age_p99_ms"] == pytest.approx(118.0, abs=0.1)
    assert outcome["detector"]["rate_hz"] == 10.0
    assert (alerts["sent"], alerts["results"], alerts["lost"]) == (20, 20, 0)
    assert (alerts["classified"], alerts["right"]) == (10, 10)
    assert energy["kind"]["policy_node"] == "modelled"
    assert energy["j_per_result"]["policy_node"] == pytest.approx(0.5)
    assert outcome["nodes"]["detector_node"]["drops"] == {"superseded": 2}
    assert outcome["total"]["processes"] == 6
    assert outcome["bag"]["topics"] == {"/task": 1}
    assert "no command was late and no alert was lost" in err


def spoil_stalls(run: Any) -> None:
    run.last("policy_node")["stalls"] = "1"


def spoil_lateness(run: Any) -> None:
    run.last("policy_node")["tick_late_p99_ms"] = "5.1"


def spoil_plan(run: Any) -> None:
    run.last("policy_node")["stalled_ticks"] = "50"


def spoil_alerts(run: Any) -> None:
    run.said = [each for each in run.said if each.get("result", {}).get("alert_id") != 7]


def spoil_results(run: Any) -> None:
    run.said.insert(-1, next(each for each in run.said if "result" in each))


def spoil_frames(run: Any) -> None:
    run.said = [each for each in run.said if "frame" not in each]


def spoil_bag(run: Any) -> None:
    run.last("recorder_node")["drops.lost"] = "3"


def spoil_node(run: Any) -> None:
    run.used["up"]["detector_node"]["restarts"] = 1


def spoil_lights(run: Any) -> None:
    run.said = [each for each in run.said if each.get("event") != "hit"]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (spoil_stalls, "1 of 1200 commands came later than one period"),
        (spoil_lateness, "served within 5.1 ms"),
        (spoil_plan, "45 ticks were not served by an unexpired chunk"),
        (spoil_alerts, "Of 20 alerts that were sent, 1 were lost: 19 results"),
        (spoil_results, "1 results came again"),
        (spoil_frames, "The detector was done with 0"),
        (spoil_bag, "3 messages did not reach the recorder"),
        (spoil_node, "detector_node was started again 1 times"),
        (spoil_lights, "0 of 5 lights were touched"),
    ],
)
def test_whatever_went_wrong_has_a_sentence(
    spoil: Any, sentence: str, fake_full_run: Any, tmp_path: Path
) -> None:
    spoil(fake_full_run)
    folder = fake_full_run.save(tmp_path / "run")

    result = evaluate(FullSettings.load(folder), folder)

    [failed] = [check.sentence for check in result.checks() if not check.passed]
    assert sentence in failed


def test_a_run_that_went_wrong_fails_the_command(
    fake_full_run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil_stalls(fake_full_run)
    code, outcome, err = score(fake_full_run.save(tmp_path / "run"), capsys)
    assert code == 1
    assert outcome["ok"] is False
    assert "failed: 1 of 1200 commands came later" in err
    assert "did not work as it should" in (tmp_path / "run" / "report.html").read_text()


def test_the_replay_need_not_have_sent_the_whole_night(fake_full_run: Any, tmp_path: Path) -> None:
    fake_full_run.identities += ["ztf:100", "ztf:101"]
    folder = fake_full_run.save(tmp_path / "run")
    result = evaluate(FullSettings.load(folder), folder)
    assert result.account is not None
    assert (result.account.sent, result.account.lost) == (20, ())


def test_a_run_that_broke_off_is_said_to_have(
    fake_full_run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_full_run.said = fake_full_run.said[:50]
    code, outcome, _ = score(fake_full_run.save(tmp_path / "run"), capsys)
    assert code == 1
    assert "did not come to its end" in outcome["checks"][0]["sentence"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--targets", "30"], "no --targets with --full"),
        (["--strategies", "vlash", "--no-images"], "no --strategies, --images with --full"),
        (["--seed", "2"], "no --seed with --full"),
        (["--score", "nowhere"], r"expected the folder of a demo run with settings\.json"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        main(["--full", *arguments])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("policy_node: {ros__parameters: {tick_hz: 100.0}}", "expected sim_arm_node in the parameter file"),
        (
            "sim_arm_node: {ros__parameters: {priority: 0}}\npolicy_node: {ros__parameters: {tick: 100.0}}",
            "tick_hz",
        ),
    ],
)
def test_a_graph_that_cannot_run_is_refused_before_anything_starts(
    text: str, words: str, tmp_path: Path
) -> None:
    for module in ("rclpy", "mujoco"):
        pytest.importorskip(module)
    file = tmp_path / "graph.yaml"
    file.write_text(text)
    out = tmp_path / "out"
    with pytest.raises(ConfigurationError, match=words):
        main(["--full", "--params-file", str(file), "--out", str(out)])
    assert not out.exists()


def test_messages_that_are_no_wheel_are_missed_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for module in ("rclpy", "mujoco"):
        pytest.importorskip(module)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "vision_msgs" else find(name, *more)
    )
    with pytest.raises(ConfigurationError, match="lowlat interfaces"):
        main(["--full", "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("seconds", ["1", "1e9"])
def test_a_length_that_is_none_is_refused(seconds: str, tmp_path: Path) -> None:
    for module in ("rclpy", "mujoco"):
        pytest.importorskip(module)
    with pytest.raises(ConfigurationError, match="expected 5 to 14400 seconds"):
        main(["--full", "--seconds", seconds, "--out", str(tmp_path / "out")])
