# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What is written is the same each time, and other tools read it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
import yaml
from bag_forms import START_NS, STRING, Bag, text
from mcap.reader import make_reader
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability
from rosbags.rosbag2 import Reader

from lowlat_nodes.transport.bag import BagError, BagReader, BagWriter, DiskError, Topic, qos

LATCHED = Qos(
    QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL,
    qos.INFINITE, qos.INFINITE, QosLiveliness.AUTOMATIC, qos.INFINITE, False,
)  # fmt: skip


def fill(path: Path, messages: Bag, **options: object) -> None:
    with BagWriter(path, **options) as writer:
        writer.declare(Topic("/latched", STRING, (LATCHED,)))
        for message in messages:
            writer.write(*message)


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_the_same_messages_give_the_same_bytes_whatever_the_name_and_the_hour(
    tmp_path: Path, messages: Bag, compression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "one.mcap", messages, compression=compression)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    fill(tmp_path / "two.mcap", messages, compression=compression)
    fill(tmp_path / "folder", messages, compression=compression)
    first = (tmp_path / "one.mcap").read_bytes()
    assert (tmp_path / "two.mcap").read_bytes() == first
    assert (tmp_path / "folder" / "folder_0.mcap").read_bytes() == first


def test_no_version_is_in_the_file(tmp_path: Path, messages: Bag) -> None:
    fill(tmp_path / "bag.mcap", messages)
    with (tmp_path / "bag.mcap").open("rb") as file:
        header = make_reader(file).get_header()
    assert (header.profile, header.library) == ("ros2", "lowlat_nodes")


def test_metadata_is_complete_for_every_reader_of_version_8(tmp_path: Path, messages: Bag) -> None:
    fill(tmp_path / "bag", messages)
    info = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert info["version"] == 8
    assert info["storage_identifier"] == "mcap"
    assert info["message_count"] == 40
    assert info["starting_time"] == {"nanoseconds_since_epoch": START_NS}
    assert info["relative_file_paths"] == ["bag_0.mcap"]
    assert info["files"][0]["message_count"] == 40
    assert info["duration"] == info["files"][0]["duration"]
    topics = {topic["topic_metadata"]["name"]: topic for topic in info["topics_with_message_count"]}
    assert {name: topic["message_count"] for name, topic in topics.items()} == {
        "/latched": 0,
        "/a": 20,
        "/b": 20,
    }
    latched = topics["/latched"]["topic_metadata"]
    assert isinstance(latched["offered_qos_profiles"], str)  # until version 8, YAML within YAML
    assert yaml.safe_load(latched["offered_qos_profiles"])[0]["durability"] == 1
    assert latched["type_description_hash"].startswith("RIHS01_")
    assert latched["serialization_format"] == "cdr"


@pytest.mark.parametrize("name", ["bag", "bag.mcap"])
def test_rosbags_reads_it(tmp_path: Path, messages: Bag, ordered: Bag, name: str) -> None:
    fill(tmp_path / name, messages)
    with Reader(tmp_path / name) as reader:
        found = [(item.topic, stamp, bytes(data)) for item, stamp, data in reader.messages()]
        offered = {item.topic: item.ext.offered_qos_profiles for item in reader.connections}
        definitions = {item.msgdef.data for item in reader.connections}
    assert found == [(message.topic, message.stamp_ns, message.data) for message in ordered]
    assert offered["/latched"] == [LATCHED]
    assert definitions == {"string data\n"}


def test_the_mcap_library_finds_index_checksums_and_both_stamps(tmp_path: Path, messages: Bag) -> None:
    with BagWriter(tmp_path / "bag.mcap", chunk_bytes=200) as writer:
        for message in messages:
            writer.write(*message[:4], message.stamp_ns - 5)
    with (tmp_path / "bag.mcap").open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        found = list(reader.iter_messages())
        summary = reader.get_summary()
        metadata = {record.name: record.metadata for record in reader.iter_metadata()}
    assert len(found) == 40
    assert all(message.publish_time == message.log_time - 5 for _, _, message in found)
    assert summary is not None
    assert summary.statistics is not None
    assert summary.statistics.chunk_count == len(summary.chunk_indexes) > 5
    info = yaml.safe_load(metadata["rosbag2"]["serialized_metadata"])
    assert info["message_count"] == 40
    assert info["relative_file_paths"] == []


def test_sent_and_received_stamps_come_back(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag.mcap") as writer:
        writer.write("/a", STRING, 100, text("/a", 100, "x").data, 90)
        writer.write("/a", STRING, 200, text("/a", 100, "x").data)
    with BagReader(tmp_path / "bag.mcap") as bag:
        assert [(message.stamp_ns, message.published_ns) for message in bag.messages()] == [
            (100, 90),
            (200, 200),
        ]


def test_stamps_may_go_back(tmp_path: Path) -> None:
    stamps = [500, 400, 900, 100]
    with BagWriter(tmp_path / "bag") as writer:
        for stamp in stamps:
            writer.write(*text("/a", stamp, "x"))
    with BagReader(tmp_path / "bag") as bag:
        assert bag.start_ns == 100
        assert [message.stamp_ns for message in bag.messages()] == sorted(stamps)


def test_a_file_that_is_full_is_followed_by_another(tmp_path: Path, messages: Bag, ordered: Bag) -> None:
    fill(tmp_path / "bag", messages, max_file_bytes=1500, chunk_bytes=200)
    files = sorted((tmp_path / "bag").glob("*.mcap"))
    assert [path.name for path in files] == [f"bag_{number}.mcap" for number in range(len(files))]
    assert len(files) > 2
    with Reader(tmp_path / "bag") as reader:
        assert sum(1 for _ in reader.messages()) == 40
    for path in files:
        with Reader(path) as reader:  # each of them can be read alone
            assert reader.message_count <= 40
    with BagReader(tmp_path / "bag") as bag:
        assert list(bag.messages()) == ordered


def test_an_unknown_type_is_written_as_it_is(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag.mcap") as writer:
        writer.write("/map", "nav2_msgs/msg/Costmap", 1, b"\x00\x01\x00\x00whatever")
    with BagReader(tmp_path / "bag.mcap") as bag:
        assert bag.topics[0].type == "nav2_msgs/msg/Costmap"
        assert next(bag.messages()).data == b"\x00\x01\x00\x00whatever"


def test_an_empty_bag_is_a_bag(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag"):
        pass
    with BagReader(tmp_path / "bag") as bag:
        assert list(bag.messages()) == []
        assert bag.damage == []


@pytest.mark.parametrize("name", ["bag", "bag.mcap"])
def test_nothing_is_overwritten(tmp_path: Path, messages: Bag, name: str) -> None:
    fill(tmp_path / name, messages)
    with pytest.raises(DiskError, match="exists already; choose another name"):
        BagWriter(tmp_path / name)
    with BagReader(tmp_path / name) as bag:
        assert bag.count == 40


def test_a_topic_keeps_its_type(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag.mcap") as writer:
        writer.write(*text("/a", 1, "x"))
        with pytest.raises(
            BagError, match=r"/a: expected messages of type std_msgs/msg/String, got std_msgs/msg/Bool"
        ):
            writer.write("/a", "std_msgs/msg/Bool", 2, b"\x00\x01\x00\x00\x01")


@pytest.mark.parametrize("stamp", [-1, 1 << 63])
def test_impossible_stamps_are_refused(tmp_path: Path, stamp: int) -> None:
    with BagWriter(tmp_path / "bag.mcap") as writer, pytest.raises(BagError, match="expected a stamp from 0"):
        writer.write(*text("/a", stamp, "x"))


def test_a_full_disk_is_reported(messages: Bag, tmp_path: Path) -> None:
    device = Path("/dev/full")
    if not device.exists():
        pytest.skip("there is no /dev/full")
    writer = BagWriter(tmp_path / "bag.mcap")
    writer._files[-1]._stream.close()
    writer._files[-1]._writer._Writer__stream = stream = device.open("wb")
    writer._files[-1]._stream = stream
    for message in messages[:2]:
        writer.write(*message)
    with pytest.raises(DiskError, match="No space left on device"):
        writer.flush()
    with pytest.raises(OSError, match="No space left"):
        stream.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"compression": "gzip"}, "expected compression none, lz4, zstd"),
        ({"max_file_bytes": 10}, "expected a directory to split"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: dict[str, object], words: str) -> None:
    with pytest.raises(BagError, match=words):
        BagWriter(tmp_path / "bag.mcap", **options)
    assert not (tmp_path / "bag.mcap").exists()


def test_a_recorded_bag_is_copied_without_loss(data_dir: Path, tmp_path: Path) -> None:
    with BagReader(data_dir / "bags" / "nav2_costmap") as bag:
        with BagWriter(tmp_path / "copy") as writer:
            for topic in bag.topics:
                writer.declare(topic)
            for message in bag.messages():
                writer.write(*message)
        before = list(bag.messages())
        topics = bag.topics
    with BagReader(tmp_path / "copy") as copy:
        assert copy.topics == topics
        assert list(copy.messages()) == before
    shutil.rmtree(tmp_path / "copy")
