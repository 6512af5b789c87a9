# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat demo` without running anything: arguments, and bags that are scored again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes import resources
from lowlat_nodes.cli.demo import main
from lowlat_nodes.cli.demo.lights import lights_within
from lowlat_nodes.cli.demo.settings import DemoSettings
from lowlat_nodes.nodes.parameter_file import parameters_of, read
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.bag import BagWriter

pytest.importorskip("matplotlib")

Make = Callable[..., Any]


def save(folder: Path, settings: DemoSettings, **runs: Any) -> Path:
    """Make the folder that a demo leaves behind."""
    folder.mkdir()
    settings.save(folder)
    for name, run in runs.items():
        (folder / name).mkdir()
        with BagWriter(folder / name / "bag", chunk_bytes=1 << 14) as writer:
            for record in run.in_order():
                writer.write(record.topic, record.type, record.stamp_ns, record.data, record.published_ns)
    return folder


def test_scoring_again_prints_one_json_object_and_writes_the_report(
    fake_run: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = DemoSettings(targets=12)
    runs = {
        "sync": fake_run(reaction_ms=600.0, hits=7, stalled_ticks=200),
        "naive_async": fake_run(reaction_ms=300.0, hits=9),
        "vlash": fake_run(reaction_ms=240.0),
    }
    folder = save(tmp_path / "run", settings, **runs)

    assert main(["--json", "--score", str(folder)]) == 0

    out, err = capsys.readouterr()
    outcome = json.loads(out)
    assert outcome["ok"] is True
    assert list(outcome["strategies"]) == ["sync", "naive_async", "vlash"]
    assert outcome["comparison"]["reaction_p50_vlash_to_sync"] < 0.6
    assert outcome == json.loads((folder / "result.json").read_text())
    assert "times as fast" in err
    assert (folder / "report.html").is_file()


def test_a_failed_check_fails_the_command_with_its_sentence(
    fake_run: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save(tmp_path / "run", DemoSettings(("vlash",), targets=12), vlash=fake_run(stalled_ticks=20))

    assert main(["--score", str(folder)]) == 1

    out, err = capsys.readouterr()
    assert not out
    assert "failed: vlash: 20 ticks were not served" in err


def test_a_bag_that_broke_off_fails_and_the_others_are_still_scored(
    fake_run: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = DemoSettings(("sync", "vlash"), targets=12)
    folder = save(tmp_path / "run", settings, sync=fake_run(), vlash=fake_run())
    [file] = (folder / "sync" / "bag").glob("*.mcap")
    file.write_bytes(file.read_bytes()[:200_000])

    assert main(["--json", "--score", str(folder)]) == 1

    out, err = capsys.readouterr()
    assert list(json.loads(out)["strategies"]) == ["vlash"]
    assert "failed: sync: its bag cannot be scored" in err


def test_scoring_is_repeatable(fake_run: Make, tmp_path: Path) -> None:
    folder = save(tmp_path / "run", DemoSettings(("vlash",), targets=12), vlash=fake_run())
    made = []
    for _ in range(2):
        assert main(["--score", str(folder)]) == 0
        made.append([(folder / name).read_bytes() for name in ("result.json", "report.html")])

    assert made[0] == made[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--strategies", "vlsh"],
        ["--targets", "3"],
        ["--seconds", "9"],
        ["--seconds", "1e9"],
        ["--seconds", "20", "--targets", "20"],
        ["--inference-delay-ms", "-5"],
        ["--score", "/nonexistent"],
        ["--params-file", "/nonexistent.yaml"],
    ],
)
def test_wrong_arguments_start_nothing(arguments: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"

    with pytest.raises(ConfigurationError, match="expected"):
        main([*arguments, "--out", str(out)])

    assert not out.exists()


@pytest.mark.parametrize(("seconds", "targets"), [(20.0, 11), (120.0, 80)])
def test_a_length_in_seconds_has_as_many_lights_as_fit(seconds: float, targets: int) -> None:
    pytest.importorskip("rclpy")
    pytest.importorskip("mujoco")
    file = resources.path("config", "demo.yaml")
    simulation = parameters_of("/sim_arm_node", read(file))
    assert lights_within(seconds, simulation, seed=1) == targets
    longer = {**simulation, "lights.window_ms": 2500.0}
    assert lights_within(seconds, longer, seed=1) < targets


def test_a_folder_that_is_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("results")

    with pytest.raises(ConfigurationError, match="new or empty folder"):
        main(["--out", str(tmp_path)])

    assert [path.name for path in tmp_path.iterdir()] == ["precious"]
