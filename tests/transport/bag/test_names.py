# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What names stand for in a bag of both worlds."""

from __future__ import annotations

import pytest

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.bag import Topic
from lowlat_nodes.transport.bag.framing import ENCODING
from lowlat_nodes.transport.bag.names import as_stream, matching

TOPICS = [
    Topic("/camera", "sensor_msgs/msg/Image"),
    Topic("/robot/state", "std_msgs/msg/String"),
    *(Topic(name, "lowlat/x", encoding=ENCODING) for name in ("zmq:camera", "zmq2:camera", "zmq:/arm:0")),
]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("/camera", ["/camera"]),
        ("camera", ["zmq:camera", "zmq2:camera", "/camera"]),
        ("zmq2:camera", ["zmq2:camera"]),
        ("~/state", ["/robot/state"]),
        ("/arm:0", ["zmq:/arm:0"]),
        ("zmq:/arm:0", ["zmq:/arm:0"]),
    ],
)
def test_a_name_stands_for_topics_of_both_worlds(name: str, found: list[str]) -> None:
    assert [topic.name for topic in matching(name, TOPICS, "bag", "robot")] == found


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("camra", "bag: there is no topic '/camra'; did you mean '/camera'?"),
        ("zmq:camra", "bag: there is no topic 'zmq:camra'; did you mean 'zmq:camera'?"),
    ],
)
def test_a_name_that_is_not_there_is_refused(name: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        matching(name, TOPICS, "bag")
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("number", "name"),
    [(0, "/camera"), (1, "/robot/state"), (2, "/zmq/camera"), (3, "/zmq2/camera"), (4, "/arm:0")],
)
def test_a_processor_gets_topics_under_names_of_their_own(number: int, name: str) -> None:
    assert as_stream(TOPICS[number], TOPICS) == name


def test_without_a_namesake_of_ros_the_first_publisher_keeps_the_name() -> None:
    assert as_stream(TOPICS[2], TOPICS[1:]) == "/camera"
    assert as_stream(TOPICS[3], TOPICS[1:]) == "/zmq2/camera"
    assert as_stream(TOPICS[3], TOPICS[3:]) == "/camera"
