# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Whatever form a bag has, its messages come whole, in time order and counted."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
import yaml
from bag_forms import FORMS, START_NS, STEP_NS, STRING, Bag, text, write

from lowlat_nodes.transport.bag import BagError, BagReader, BagWriter, Recorded
from lowlat_nodes.transport.bag import mcap_file as mcap_module


def read(path: Path) -> list[Recorded]:
    with BagReader(path) as bag:
        found = list(bag.messages())
        assert bag.damage == []
        assert sum(bag.read.values()) == bag.count == len(found)
    return found


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_messages_in_time_order(
    form: str, tmp_path: Path, messages: Bag, ordered: Bag
) -> None:
    assert read(write(form, tmp_path / "bag", messages)) == ordered


@pytest.mark.parametrize("form", FORMS)
def test_every_form_tells_its_topics_before_it_is_read(form: str, tmp_path: Path, messages: Bag) -> None:
    with BagReader(write(form, tmp_path / "bag", messages)) as bag:
        assert {(topic.name, topic.type) for topic in bag.topics} == {("/a", STRING), ("/b", STRING)}
        assert bag.counts == {"/a": 20, "/b": 20}
        assert bag.start_ns == START_NS


@pytest.mark.parametrize("form", ["ours", "rosbags_sqlite3", "no_chunks", "split"])
def test_only_the_chosen_topics_are_read_and_counted(form: str, tmp_path: Path, messages: Bag) -> None:
    with BagReader(write(form, tmp_path / "bag", messages)) as bag:
        found = list(bag.messages({"/b"}))
        assert [message.topic for message in found] == ["/b"] * 20
        assert bag.read == {"/b": 20}
        assert bag.damage == []


@pytest.mark.parametrize("form", ["our_file", "rosbags_sqlite3_file", "split"])
def test_a_bag_can_be_read_again(form: str, tmp_path: Path, messages: Bag, ordered: Bag) -> None:
    with BagReader(write(form, tmp_path / "bag", messages)) as bag:
        assert list(bag.messages()) == list(bag.messages()) == ordered


def test_a_read_that_is_given_up_does_not_disturb_the_next(
    tmp_path: Path, messages: Bag, ordered: Bag
) -> None:
    with BagReader(write("our_file", tmp_path / "bag", messages)) as bag:
        next(bag.messages())
        assert list(bag.messages()) == ordered


def test_files_that_overlap_in_time_are_merged(tmp_path: Path) -> None:
    first = [text("/a", START_NS + STEP_NS * index, "first") for index in (0, 2, 4)]
    second = [text("/a", START_NS + STEP_NS * index, "second") for index in (1, 3, 5)]
    folder = tmp_path / "bag"
    with BagWriter(folder, max_file_bytes=1) as writer:
        for part in (first, second):
            for message in part:
                writer.write(*message)
            writer.flush()
    assert len(list(folder.glob("*.mcap"))) == 3  # the last one is empty
    assert [message.stamp_ns for message in read(folder)] == [START_NS + STEP_NS * i for i in range(6)]


def test_equal_stamps_keep_the_order_of_the_file(tmp_path: Path) -> None:
    same = [text(f"/{index % 3}", START_NS, str(index)) for index in range(50)]
    assert read(write("our_file", tmp_path / "bag", same)) == same
    assert read(write("no_chunks", tmp_path / "plain", same)) == same


def test_chunks_that_all_overlap_are_unpacked_anew_rather_than_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst order for a reader: every chunk holds a message of the beginning and one of the end."""
    count = 40
    mixed = []
    for index in range(count):
        mixed += [text("/a", START_NS + index, "x" * 300), text("/a", START_NS + 1000 + index, "y" * 300)]
    path = write("our_file", tmp_path / "bag", mixed)
    monkeypatch.setattr(mcap_module, "CACHE_BYTES", 2000)
    file = mcap_module.McapFile(path)
    largest, stamps = 0, []
    for message in file.messages():
        stamps.append(message.stamp_ns)
        largest = max(largest, sum(map(len, file._cache.values())))
    file.close()
    assert stamps == sorted(message.stamp_ns for message in mixed)
    assert largest <= 2000


def test_nothing_is_kept_of_chunks_that_were_read(tmp_path: Path) -> None:
    stamped = [text("/a", START_NS + index, "x" * 300) for index in range(100)]
    file = mcap_module.McapFile(write("our_file", tmp_path / "bag", stamped))
    kept = [len(file._cache) for _ in file.messages()]
    file.close()
    assert max(kept) == 1


def test_without_start_times_files_follow_each_other(tmp_path: Path, messages: Bag) -> None:
    """Metadata before version 5 does not say when a file begins."""
    folder = write("split", tmp_path / "bag", sorted(messages, key=lambda message: message.stamp_ns))
    path = folder / "metadata.yaml"
    document = yaml.safe_load(path.read_text())
    info = document["rosbag2_bagfile_information"]
    info["version"] = 4
    del info["files"]
    path.write_text(yaml.safe_dump(document))
    stamps = [message.stamp_ns for message in read(folder)]
    assert stamps == sorted(stamps)
    assert len(stamps) == 40


def test_paths_of_old_metadata_begin_with_the_folder(tmp_path: Path, messages: Bag, ordered: Bag) -> None:
    folder = write("rosbags_sqlite3", tmp_path / "bag", messages)
    path = folder / "metadata.yaml"
    path.write_text(path.read_text().replace("- bag.db3", "- somewhere/else/bag.db3"))
    assert read(folder) == ordered


def test_metadata_cannot_lead_out_of_the_folder(tmp_path: Path, messages: Bag) -> None:
    outside = write("our_file", tmp_path / "outside", messages)
    folder = write("ours", tmp_path / "bag", messages)
    path = folder / "metadata.yaml"
    path.write_text(path.read_text().replace("bag_0.mcap", f"../{outside.name}"))
    with pytest.raises(BagError, match=r"expected the files outside\.mcap"):
        BagReader(folder)


def test_a_folder_without_metadata_is_read_and_reported(tmp_path: Path, messages: Bag, ordered: Bag) -> None:
    folder = write("split", tmp_path / "bag", messages)
    (folder / "metadata.yaml").unlink()
    with BagReader(folder) as bag:
        assert list(bag.messages()) == ordered
        assert bag.damage == ["there is no metadata.yaml: the recorder did not stop properly"]


def test_the_write_ahead_log_of_a_killed_recorder_is_read(tmp_path: Path, messages: Bag) -> None:
    path = write("rosbags_sqlite3", tmp_path / "bag", messages) / "bag.db3"
    killed = tmp_path / "killed.db3"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute(
        "INSERT INTO messages(topic_id, timestamp, data) SELECT topic_id, timestamp, data FROM messages"
    )
    connection.commit()
    for suffix in ("", "-wal"):
        shutil.copyfile(f"{path}{suffix}", f"{killed}{suffix}")
    connection.close()
    with BagReader(killed) as bag:
        assert len(list(bag.messages())) == 80
        assert "write-ahead log" in bag.damage[0]
    assert sorted(item.name for item in tmp_path.iterdir()) == ["bag", "killed.db3", "killed.db3-wal"]


def test_counts_that_differ_from_the_metadata_are_reported(tmp_path: Path, messages: Bag) -> None:
    folder = write("ours", tmp_path / "bag", messages)
    path = folder / "metadata.yaml"
    path.write_text(path.read_text().replace("message_count: 20", "message_count: 25", 1))
    with BagReader(folder) as bag:
        list(bag.messages())
        assert bag.damage == ["/a: expected 25 messages, 20 could be read"]


def test_quality_of_service_that_differs_between_metadata_and_file_loses_nothing(
    tmp_path: Path, messages: Bag, ordered: Bag
) -> None:
    """`rosbags` 0.11.9 yields no message of such a directory, and rosbag2's own resources are such."""
    folder = write("rosbags_mcap", tmp_path / "bag", messages)
    path = folder / "metadata.yaml"
    document = yaml.safe_load(path.read_text())
    for topic in document["rosbag2_bagfile_information"]["topics_with_message_count"]:
        topic["topic_metadata"]["offered_qos_profiles"] = (
            "- history: 3\n  depth: 0\n  reliability: 1\n  durability: 2\n  deadline: {sec: 0, nsec: 0}\n"
            "  lifespan: {sec: 0, nsec: 0}\n  liveliness: 1\n  liveliness_lease_duration: {sec: 0, nsec: 0}\n"
            "  avoid_ros_namespace_conventions: false"
        )
    path.write_text(yaml.safe_dump(document))
    assert read(folder) == ordered


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing", None, "there is none"),
        ("empty.mcap", b"", "expected an MCAP file, this starts with no byte"),
        ("text.mcap", b"hello, this is text", "expected an MCAP file, this starts with 68656c6c6f2c2074"),
        ("text.db3", b"hello, this is text", "expected a sqlite3 bag file"),
        ("notes.txt", b"hello", r"expected a bag file: \*\.mcap, \*\.db3"),
        ("broken.mcap.zstd", b"hello", "cannot be unpacked"),
    ],
)
def test_what_is_no_bag_is_refused(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BagError, match=words):
        BagReader(path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BagError, match=r"expected metadata\.yaml or bag files"):
        BagReader(tmp_path)


def test_missing_files_are_named(tmp_path: Path, messages: Bag) -> None:
    folder = write("split", tmp_path / "bag", messages)
    (folder / "bag_1.mcap").unlink()
    with pytest.raises(BagError, match=r"expected the files bag_1\.mcap that metadata\.yaml lists"):
        BagReader(folder)


@pytest.mark.parametrize(
    ("bag", "count", "per_topic"),
    [
        ("rosbag2_talker", 20, {"/topic": 10, "/rosout": 10, "/parameter_events": 0}),
        ("nav2_costmap", 693, {"/local_costmap/costmap": 231, "/cmd_vel_smoothed": 231, "/clock": 231}),
        ("selfdriving_nav", 755, {"/cmd_vel": 578, "/scan": 177}),
        ("selfdriving_speed", 677, {"/cmd_vel": 677}),
    ],
)
def test_recorded_bags_are_read_to_the_last_message(
    data_dir: Path, bag: str, count: int, per_topic: dict[str, int]
) -> None:
    path = data_dir / "bags" / bag
    document = yaml.safe_load((path / "metadata.yaml").read_text())
    assert document["rosbag2_bagfile_information"]["message_count"] == count
    found = read(path)
    with BagReader(path) as reader:
        list(reader.messages())
        assert reader.read == per_topic
    stamps = [message.stamp_ns for message in found]
    assert stamps == sorted(stamps)


def test_a_file_of_a_recorded_bag_is_read_by_itself(data_dir: Path) -> None:
    bags = data_dir / "bags"
    assert len(read(bags / "rosbag2_talker" / "talker.mcap")) == 20
    assert len(read(bags / "nav2_costmap" / "_tmp_cm_bag_0.mcap.zstd")) == 693
    assert len(read(bags / "selfdriving_nav" / "full_bag_nav_0.db3")) == 755
