# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Bags of ROS and ZeroMQ: we read both, and other tools read what is theirs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from bag_forms import START_NS, text
from mcap.reader import make_reader
from rosbags.rosbag2 import Reader

from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Image
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.bag import BagError, BagReader, BagWriter, Recorded, Topic
from lowlat_nodes.transport.bag.framing import ENCODING, pack, unpack
from lowlat_nodes.transport.bag.metadata import parse
from lowlat_nodes.transport.zmq.frames import encode

ENDPOINT = "tcp://127.0.0.1:5557"
COUNT = 30
NUMBERS = Topic("zmq:numbers", "lowlat/array", encoding=ENCODING, endpoint=ENDPOINT)
CAMERA = Topic("zmq2:camera", "lowlat/image", encoding=ENCODING, endpoint="ipc:///run/camera")


def frames(topic: str, payload: Any, index: int) -> bytes:
    trace = Trace(published_ns=START_NS + 1000 * index)
    return pack(encode(Message("x", payload, trace), topic, index, epoch=3))


def messages() -> list[Recorded]:
    found = []
    for index in range(COUNT):
        stamp_ns = START_NS + 1000 * index
        found.append(text("/a", stamp_ns + 100, f"word {index}"))
        data = frames("numbers", np.arange(3.0) + index, index)
        found.append(Recorded(NUMBERS.name, NUMBERS.type, stamp_ns + 300, data, stamp_ns))
        if index % 3 == 0:
            picture = Image(np.full((8, 9, 3), index, np.uint8), "rgb8")
            data = frames("camera", picture, index // 3)
            found.append(Recorded(CAMERA.name, CAMERA.type, stamp_ns + 500, data, stamp_ns + 200))
    return found


def write(path: Path, **options: Any) -> Path:
    with BagWriter(path, **options) as writer:
        for topic in (CAMERA, NUMBERS):
            writer.declare(topic)
        for message in messages():
            writer.write(*message)
    return path


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
@pytest.mark.parametrize("name", ["bag", "bag.mcap"])
def test_both_worlds_come_back_in_the_order_of_their_receipt(
    tmp_path: Path, name: str, compression: str
) -> None:
    with BagReader(write(tmp_path / name, compression=compression)) as bag:
        assert list(bag.messages()) == messages()
        assert bag.damage == []
        assert bag.counts == {"/a": COUNT, NUMBERS.name: COUNT, CAMERA.name: COUNT // 3}
        assert {topic.name: topic for topic in bag.topics if topic.framed} == {
            NUMBERS.name: NUMBERS,
            CAMERA.name: CAMERA,
        }
        assert [topic.wire_name for topic in bag.topics if topic.framed] == ["camera", "numbers"]


def test_a_bag_that_is_split_has_both_worlds_in_each_file(tmp_path: Path) -> None:
    write(tmp_path / "bag", max_file_bytes=2000, chunk_bytes=500)
    files = sorted((tmp_path / "bag").glob("*.mcap"))
    assert len(files) > 2
    with BagReader(tmp_path / "bag") as bag:
        assert list(bag.messages()) == messages()
    info = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert sum(file["message_count"] for file in info["files"]) == info["message_count"] == COUNT


def test_metadata_lists_for_rosbag2_what_it_can_play(tmp_path: Path) -> None:
    write(tmp_path / "bag")
    info = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    listed = [topic["topic_metadata"] for topic in info["topics_with_message_count"]]
    assert [(topic["name"], topic["serialization_format"]) for topic in listed] == [("/a", "cdr")]
    assert info["message_count"] == COUNT
    # rosbag2 reads custom data as a map of texts, and nothing else.
    assert all(isinstance(text, str) for item in info["custom_data"].items() for text in item)
    assert json.loads(info["custom_data"]["lowlat_topics"]) == [
        {"name": topic.name, "type": topic.type, "endpoint": topic.endpoint, "count": count}
        for topic, count in ((CAMERA, COUNT // 3), (NUMBERS, COUNT))
    ]


def test_rosbags_reads_the_ros_topics_of_a_directory(tmp_path: Path) -> None:
    write(tmp_path / "bag")
    with Reader(tmp_path / "bag") as reader:
        assert [connection.topic for connection in reader.connections] == ["/a"]
        assert reader.message_count == COUNT
        found = [(item.topic, stamp, bytes(data)) for item, stamp, data in reader.messages()]
    assert found == [tuple(message[:1]) + message[2:4] for message in messages() if message.topic == "/a"]


def test_rosbags_reads_the_ros_topics_of_a_lone_file(tmp_path: Path) -> None:
    write(tmp_path / "bag.mcap")
    with Reader(tmp_path / "bag.mcap") as reader:
        chosen = [item for item in reader.connections if item.ext.serialization_format == "cdr"]
        assert [connection.topic for connection in chosen] == ["/a"]
        assert sum(1 for _ in reader.messages(chosen)) == COUNT


def test_the_mcap_library_reads_all_and_finds_what_the_frames_are(tmp_path: Path) -> None:
    write(tmp_path / "bag.mcap")
    with (tmp_path / "bag.mcap").open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        found = [
            (schema.name, channel, message)
            for schema, channel, message in reader.iter_messages([CAMERA.name])
        ]
    assert {(name, channel.message_encoding) for name, channel, _ in found} == {
        ("lowlat/image", "lowlat_frames")
    }
    channel = found[0][1]
    assert channel.metadata["endpoint"] == "ipc:///run/camera"
    assert channel.metadata["format"].startswith("u32 little-endian: count of frames, length of each")
    stamps = [(message.log_time, message.publish_time) for _, _, message in found]
    assert stamps == [(START_NS + 3000 * index + 500, START_NS + 3000 * index + 200) for index in range(10)]
    assert bytes(unpack(found[0][2].data)[0]) == b"camera"


def test_without_metadata_the_files_themselves_tell(tmp_path: Path) -> None:
    write(tmp_path / "bag")
    (tmp_path / "bag" / "metadata.yaml").unlink()
    with BagReader(tmp_path / "bag") as bag:
        assert list(bag.messages()) == messages()
        assert {topic.endpoint for topic in bag.topics} == {"", ENDPOINT, "ipc:///run/camera"}


def test_a_bag_that_breaks_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = write(tmp_path / "bag", chunk_bytes=500) / "bag_0.mcap"
    path.write_bytes(path.read_bytes()[:4000])
    with BagReader(tmp_path / "bag") as bag:
        found = list(bag.messages())
        assert 0 < len(found) < len(messages())
        assert found == messages()[: len(found)]
        assert any(f"{NUMBERS.name}: expected {COUNT} messages" in text for text in bag.damage)


def test_a_copy_is_the_same(tmp_path: Path) -> None:
    write(tmp_path / "bag.mcap")
    with BagReader(tmp_path / "bag.mcap") as bag, BagWriter(tmp_path / "copy.mcap") as writer:
        for topic in bag.topics:
            writer.declare(topic)
        for message in bag.messages():
            writer.write(*message)
    assert (tmp_path / "copy.mcap").read_bytes() == (tmp_path / "bag.mcap").read_bytes()


def test_the_program_in_the_documentation_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "replay.md").read_text()
    (program,) = [
        text for text in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "lowlat_frames" in text
    ]
    write(tmp_path / "run5")
    monkeypatch.chdir(tmp_path)
    exec(program, {})  # noqa: S102 - our own text
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == COUNT + COUNT // 3
    assert lines[:3] == ["zmq:numbers 0 300", "zmq2:camera 0 300", "zmq:numbers 1 300"]


@pytest.mark.parametrize(
    "custom",
    [
        "[",
        "[" * 100_000,
        "{}x",
        "[1]",
        '[{"name": "zmq:a"}]',
        '[{"name": "zmq:a", "type": "lowlat/array", "endpoint": "", "count": "many"}]',
    ],
)
def test_spoilt_custom_data_are_refused(tmp_path: Path, custom: str) -> None:
    write(tmp_path / "bag")
    document = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())
    document["rosbag2_bagfile_information"]["custom_data"]["lowlat_topics"] = custom
    with pytest.raises(BagError, match="expected the metadata of a rosbag2 bag"):
        parse(document, "here")


@pytest.mark.parametrize("custom", [None, {}, {"other": "text"}, "text"])
def test_custom_data_of_others_are_left_alone(tmp_path: Path, custom: Any) -> None:
    write(tmp_path / "bag")
    document = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())
    document["rosbag2_bagfile_information"]["custom_data"] = custom
    assert [topic.name for topic in parse(document, "here").topics] == ["/a"]
