# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lowlat_nodes.nodes.watch.graph import (
    COMPRESSED,
    DETECTIONS,
    IMAGE,
    JOINTS,
    POSITIONS,
    TEXT,
    TRAJECTORY,
    Graph,
    Stream,
    Topic,
)


def graph(*topics: tuple[str, str, str, str]) -> Graph:
    """Return a graph of topics: name, type, publishers and subscribers."""
    made = {
        name: Topic(name, kind, tuple(ins.split()), tuple(outs.split())) for name, kind, ins, outs in topics
    }
    return Graph((), made)


def cameras(*topics: tuple[str, str, str, str]) -> list[str]:
    return [topic.name for topic in graph(*topics).cameras()]


def test_a_stream_goes_from_each_publisher_to_each_subscriber() -> None:
    found = graph(("/t", TEXT, "/a /b", "/b /c"), ("/u", TEXT, "/a", ""), ("/v", TEXT, "", "/a")).streams()
    assert set(found) == {
        Stream("/a", "/b", "/t", TEXT),
        Stream("/a", "/c", "/t", TEXT),
        Stream("/b", "/c", "/t", TEXT),
    }


def test_images_that_somebody_publishes_are_cameras() -> None:
    assert cameras(("/a", IMAGE, "/cam", ""), ("/b", COMPRESSED, "/cam", ""), ("/c", IMAGE, "", "/det")) == [
        "/a",
        "/b",
    ]


def test_what_a_detector_draws_is_no_camera() -> None:
    found = (
        ("/image", IMAGE, "/cam", "/det"),
        ("/det/debug_image", IMAGE, "/det", ""),
        ("/det/detections", DETECTIONS, "/det", ""),
    )
    assert cameras(*found) == ["/image"]


def test_a_camera_that_detects_by_itself_is_one() -> None:
    assert cameras(("/image", IMAGE, "/oak", ""), ("/found", DETECTIONS, "/oak", "")) == ["/image"]


def test_other_forms_of_the_same_images_are_left_out() -> None:
    forms = (("/i/compressed", COMPRESSED, "/cam", ""), ("/d/compressedDepth", COMPRESSED, "/cam", ""))
    assert cameras(("/i", IMAGE, "/cam", ""), *forms) == ["/i"]
    assert cameras(("/i", IMAGE, "", "/x"), *forms) == ["/i/compressed"]


def test_the_detectors_of_a_camera_are_those_that_read_it() -> None:
    found = graph(
        ("/left", IMAGE, "/cam", "/det /policy"),
        ("/right", IMAGE, "/cam", "/policy"),
        ("/det/left/detections", DETECTIONS, "/det", ""),
    )
    assert found.detectors("/left") == ["/det"]
    assert found.detectors("/right") == found.detectors("/none") == []
    assert [topic.name for topic in found.detections("/det")] == ["/det/left/detections"]


def test_commands_are_what_goes_to_the_arm_or_comes_from_who_reads_its_joints() -> None:
    joints = ("/joint_states", JOINTS, "/arm", "/policy")

    def commands(*topics: tuple[str, str, str, str]) -> str | None:
        found = graph(joints, *topics).commands("/joint_states")
        return None if found is None else found.name

    assert commands() is None
    assert commands(("/other", POSITIONS, "/x", "/y")) is None
    assert commands(("/given", POSITIONS, "/policy", "/controller")) == "/given"
    assert commands(("/given", POSITIONS, "/policy", "/y"), ("/taken", TRAJECTORY, "/x", "/arm")) == "/taken"
    both = ("/both", POSITIONS, "/policy", "/arm")
    assert (
        commands(("/given", POSITIONS, "/policy", ""), both, ("/taken", TRAJECTORY, "/x", "/arm")) == "/both"
    )
    assert graph().commands("/joint_states") is None


def test_texts_are_found_by_the_last_word_of_their_names() -> None:
    found = graph(
        ("/a/results", TEXT, "/a", ""), ("/results", TEXT, "", "/b"), ("/c/results", IMAGE, "/c", "")
    )
    assert [topic.name for topic in found.ending_in("results")] == ["/a/results"]
