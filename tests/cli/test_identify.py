# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""From a bag of the simulated arm to the file that a policy node reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lowlat_nodes.benchmarks._suite_actuators import record
from lowlat_nodes.cli.identify import main
from lowlat_nodes.cli.main import main as lowlat
from lowlat_nodes.control.actuator import ActuatorModel
from lowlat_nodes.control.rollforward import make_roll_forward
from lowlat_nodes.sim.arm import ArmConfig
from lowlat_nodes.sim.kinematics import JOINT_NAMES
from lowlat_nodes.stream.errors import ConfigurationError

ARRAY, STATE = "std_msgs/msg/Float64MultiArray", "sensor_msgs/msg/JointState"
COMMAND_NS, STATE_NS = 20_000_000, 4_000_000
EPOCH_NS = 1_700_000_000_000_000_000
TOPICS = ("--commands", "/commands", "--states", "/states")


@pytest.mark.sim
@pytest.mark.slow
def test_a_bag_becomes_the_model_that_a_node_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag, model = tmp_path / "arm.mcap", tmp_path / "actuator.yaml"
    record(bag, 3, seconds=30.0)
    assert main([str(bag), *TOPICS, "-o", str(model), "--json"]) == 0
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert "1500 commands, 7500 states of " + ", ".join(JOINT_NAMES) in err
    config = ArmConfig()
    for index, name in enumerate(JOINT_NAMES):
        drive = report["joints"][name]
        # The inertia of the arm is a small lag or dead time beside the servo's.
        delay_ms = drive["lag_ms"] + drive["velocity_lag_ms"] + drive["dead_time_ms"]
        assert delay_ms == pytest.approx(config.lag_ns[index] * 1e-6, rel=0.15)
        assert abs(drive["offset"]) < 0.02
    # The shoulder moves far enough to reach its top speed often.
    top_speed = report["joints"][JOINT_NAMES[0]]["velocity_limit"]
    assert top_speed == pytest.approx(config.speed_limit_rad_s[0], rel=0.1)
    assert [horizon["steps"] for horizon in report["horizons"]] == [1, 4, 8, 16]
    assert report["h8_error_ratio_vs_last_action"] < 0.15
    assert report["horizons"][2]["ratio_vs_last_action"] == report["h8_error_ratio_vs_last_action"]
    # In another order, as a node may have its joints.
    made = make_roll_forward("actuator", joints=JOINT_NAMES[::-1], model_file=str(model))
    assert isinstance(made, ActuatorModel)
    assert list(made.joints) == list(JOINT_NAMES[::-1])
    assert made.joints[JOINT_NAMES[0]].lag_ms == report["joints"][JOINT_NAMES[0]]["lag_ms"]


@pytest.mark.sim
def test_a_bag_without_motion_ends_with_what_to_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag, model = tmp_path / "arm.mcap", tmp_path / "actuator.yaml"
    record(bag, 3, seconds=14.0, moving=())
    assert lowlat(["identify", str(bag), *TOPICS, "-o", str(model)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "record at least 20 s in which every joint goes back and forth" in err
    assert not model.exists()


def test_a_folder_that_is_missing_is_noticed_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no .*nowhere"):
        main([str(tmp_path / "none.mcap"), *TOPICS, "-o", str(tmp_path / "nowhere" / "actuator.yaml")])


@pytest.mark.parametrize("holdout", ["0", "1", "x", "nan"])
def test_a_share_that_is_none_is_a_usage_error(
    holdout: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        main([str(tmp_path / "none.mcap"), *TOPICS, "--holdout", holdout])
    assert raised.value.code == 2
    assert "between 0 and 1" in capsys.readouterr().err
