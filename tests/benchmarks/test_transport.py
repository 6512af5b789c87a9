# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of the transport in miniature: its fields, what it counts, and what it leaves behind."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.benchmarks import _transport_newest, transport
from lowlat_nodes.benchmarks._transport_cases import CASES, Pool, check, mark
from lowlat_nodes.benchmarks._transport_faults import FAULTS, ROLES, Flow, Life
from lowlat_nodes.benchmarks._transport_latency import claims, ratio
from lowlat_nodes.benchmarks._transport_pair import Pair
from lowlat_nodes.benchmarks._transport_torn_ends import Holder
from lowlat_nodes.transport.abandoned import FOLDER


@pytest.fixture
def figures(capsys: pytest.CaptureFixture[str]):
    """Return what a run prints."""

    def run(*arguments: str) -> dict:
        assert transport.main(["--json", "--quick", *arguments]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def test_figures_have_the_fields_of_the_docs() -> None:
    turns = {
        case: {
            "ours_shm": [[1_500, 1_600], [1_400]],
            "ours_ipc": [[120], [130]],
            "pyzmq_copy_ipc": [[100, 110, 90], [100]],
            "rclpy_tuned_reliable": [[6_400], [5_600]],
            "rclpy_tuned_best_effort": [[], []],
            "rclpy_default_reliable": [[16_000], [14_000]],
            "memcpy": [[1_000], [1_000]],
            "memcpy_slots": [[900], [900]],
        }
        for case in ("6mb", "100b")
    }
    found = claims(turns)
    assert found["shm_6mb"] == {"p50_us": 1.48, "p99_us": 1.6, "memcpy_us": 1.0, "ratio_to_memcpy": 1.475}
    assert found["small_100b"] == {"p50_us": 0.12, "bare_p50_us": 0.1, "p50_ratio_to_bare_zmq": 1.25}
    assert found["speedup_vs_tuned_rclpy_6mb_rival"] == "rclpy_tuned_reliable"
    assert found["speedup_vs_tuned_rclpy_6mb"] == pytest.approx(4.06, abs=0.01)
    assert found["speedup_vs_default_rclpy_6mb"] == pytest.approx(10.16, abs=0.01)
    assert found["speedup_vs_pyzmq_copy_6mb"] < 1.0
    assert found["shm_6mb_ratio_to_memcpy_slots"] > found["shm_6mb"]["ratio_to_memcpy"]


def test_writing_and_reading_a_header_is_timed(figures) -> None:
    found = figures("--only", "codec")
    assert found["encode_us"] > 0.0
    assert found["decode_us"] > 0.0


@pytest.mark.slow
def test_zeromq_and_shared_memory_take_turns_with_a_copy(figures) -> None:
    links = ["ours_shm", "ours_loan", "ours_ipc", "pyzmq_copy_ipc", "memcpy", "memcpy_slots"]
    found = figures("--only", "latency", "--links", *links)
    assert {"shm_6mb", "small_100b", "speedup_vs_pyzmq_copy_6mb"} <= found.keys()
    for case in CASES:
        assert found["latency"][case].keys() == set(links)
        assert all(link["arrived"] == link["sent"] for link in found["latency"][case].values())


@pytest.mark.ros
@pytest.mark.slow
def test_rclpy_is_measured_with_our_profile_and_without(figures, ros_domain_id: int) -> None:
    pytest.importorskip("rclpy")
    links = ["ours_shm", "rclpy_tuned_reliable", "rclpy_default_reliable"]
    found = figures("--only", "latency", "--links", *links)
    assert found["speedup_vs_tuned_rclpy_6mb"] > 0.0
    assert found["speedup_vs_default_rclpy_6mb"] > 0.0


def test_the_age_of_the_newest_value_is_that_of_the_worse_of_ipc_and_tcp() -> None:
    found = _transport_newest.measure(1, 0.3, ("ours_ipc", "ours_tcp"))
    links = found["newest_age"]["links"]
    assert found["newest_age_p99_ms"] == max(link["p99_ms"] for link in links.values())
    assert all(link["superseded"] > 0 for link in links.values())


@pytest.mark.slow
def test_the_age_of_the_newest_value_has_pyzmq_beside_it(figures) -> None:
    assert {"ours_shm", "pyzmq_hwm1_ipc"} <= figures("--only", "newest")["newest_age"]["links"].keys()


def test_saved_figures_are_those_of_one_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    files = [tmp_path / "latency.json", tmp_path / "faults.json"]
    each = [{"role": "router", "kind": "kill", "lasted_s": 0.0, "recovery_s": 0.5}]
    files[0].write_text(json.dumps({"encode_us": 4.0}))
    files[1].write_text(json.dumps({"faults": {"each": each, "bound_s": 2.0}}))
    assert transport.main(["--json", "--saved", *map(str, files)]) == 0
    assert json.loads(capsys.readouterr().out).keys() == {"encode_us", "faults"}
    pytest.importorskip("matplotlib")
    assert transport.main(["--saved", *map(str, files), "--plots", str(tmp_path)]) == 0
    assert (tmp_path / "transport_faults.svg").read_text().startswith("<?xml")


def test_frames_are_held_in_shared_memory_while_their_writer_goes_on(figures) -> None:
    found = figures("--only", "torn")
    assert found["torn"] == 0
    assert found["holding"]["frames"] == 100
    assert found["holding"]["in_place"] > 0
    assert found["holding"]["written"] > found["holding"]["received"]
    assert found["holding_slots"]["frames"] >= 20
    assert found["torn_without_leases"].keys() == {"frames", "torn"}


@pytest.mark.slow
def test_strangers_crash_nothing_and_get_nowhere(figures) -> None:
    found = figures("--only", "fuzz,attacks")
    assert found["fuzz"]["messages"] >= 22_000
    assert found["fuzz"]["crashes"] == found["fuzz"]["hangs"] == 0
    assert found["unauthorised_accepted"] == 0
    assert set(found["attacks"]["logged"].values()) == {3}


def test_a_frame_that_changes_while_it_is_held_is_torn() -> None:
    holder = Holder(seed=1)
    frames = [np.full(100, number, np.uint64) for number in range(20)]
    for frame in frames:
        holder.hold(frame)
        frame[-1] = 99
        holder.let_go()
    mixed = np.arange(3, dtype=np.uint64)
    holder.hold(mixed)
    assert holder.looked == 21
    assert holder.torn >= 13  # all but those that are still held


@pytest.mark.slow
def test_faults_are_injected_and_recovered_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert transport.main(["--json", "--faults", "3"]) == 0
    found = json.loads(capsys.readouterr().out)["faults"]
    assert found["injected"] == 3
    assert found["lost"] == 0
    assert found["committed"] > 0
    assert {fault["role"] for fault in found["each"]} <= set(ROLES)
    assert {fault["kind"] for fault in found["each"]} <= set(FAULTS)


def test_a_soak_tells_of_growth_and_of_the_last_minute(capsys: pytest.CaptureFixture[str]) -> None:
    assert transport.main(["--json", "--soak", "0.02"]) == 0
    found = json.loads(capsys.readouterr().out)["soak"]
    assert len(found["by_minute"]) == 2
    assert found["images_p99_last_to_first"] > 0.0
    assert {"rss_growth_mb", "fd_growth"} <= found.keys()


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        transport.main(["--only", "latency,nothing"])
    assert "expected parts of" in capsys.readouterr().err


def test_ratios_are_medians_over_rounds_in_which_both_have_messages() -> None:
    assert ratio([[10, 20, 30], [40], [], [90]], [[10], [10], [10], [10]]) == 4.0
    with pytest.raises(RuntimeError, match="one round"):
        ratio([[], [1]], [[1], []])


def test_what_was_sent_is_known_by_both_ends_of_it() -> None:
    pixels = next(Pool(8 << 20).of(CASES["1mb"]))
    mark(pixels, 0x1234)
    check(pixels, 0x1234)
    with pytest.raises(ValueError, match="both ends"):
        check(pixels, 0x1235)


def test_a_file_is_read_as_it_grows(tmp_path: Path) -> None:
    flow = Flow(tmp_path / "lines")
    assert flow.newest() == 0
    with flow.path.open("w", buffering=1) as file:
        file.write("7 100\n8 200\nanswered 300\nlate")
        assert flow.newest() == 200
        assert flow.newest("answered") == 300
        file.write(" 400\nimage 500 600\n")
        assert [flow.newest(kind) for kind in ("late", "image")] == [400, 500]


def test_growth_counts_from_the_warm_up_of_a_process_to_its_end() -> None:
    life = Life(began_s=100.0)
    assert life.growth() is None
    memory_mb = [10.0 + min(second, 18) + 2.0 * (second > 25) for second in range(60)]
    life.samples = [(100.0 + second, memory_mb[second], 5 + (second == 59)) for second in range(60)]
    assert life.growth() == (pytest.approx(2.0), 0)
    life.samples = life.samples[:39]
    assert life.growth() is None


def test_a_pair_shares_memory_and_leaves_none(tmp_path: Path) -> None:
    with ExitStack() as stack:
        pair = Pair("ours_shm", tmp_path, stack)
        pair.meet()
        told, count = pair.turn("1mb", 3)
        assert len(told["latencies_ns"]) == count == 3
        segments = list(FOLDER.glob(f"lowlat_*{pair.publisher.pid}_*"))
        assert segments
    assert not any(segment.exists() for segment in segments)
