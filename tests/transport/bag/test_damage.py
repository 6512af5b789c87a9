# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A damaged bag is read as far as it goes, says what is missing, and raises nothing but BagError."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import struct
from pathlib import Path

import pytest
import zstandard
from bag_forms import START_NS, STEP_NS, Bag, text, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lowlat_nodes.transport.bag import BagError, BagReader, BagWriter, Recorded
from lowlat_nodes.transport.bag import mcap_file as mcap_module

FUZZED = ["our_file", "zstd", "lz4", "no_chunks", "small_chunks", "no_summary"]
ONE_WITNESS = ["only_message_index", "only_data_checksum"]
BARE = ["bare_chunks", "bare"]
"""Forms in which nothing counts, lists or sums up the messages."""
FUZZED_SQLITE = ["rosbags_sqlite3", "rosbags_sqlite3_message"]


def read(path: Path) -> tuple[list[Recorded], list[str]]:
    with BagReader(path) as bag:
        return list(bag.messages()), bag.damage


def read_if_possible(path: Path) -> tuple[list[Recorded], list[str]]:
    try:
        return read(path)
    except BagError as error:
        return [], [str(error)]


def storage(path: Path) -> Path:
    """The one file with messages of a bag."""
    return next(item for item in path.iterdir() if item.suffix != ".yaml") if path.is_dir() else path


def starts(whole: bytes, *kinds: int) -> list[int]:
    """Where records of these kinds (none: of all) begin in a whole MCAP file."""
    found, at, end = [], len(mcap_module.MAGIC), len(whole) - len(mcap_module.MAGIC)
    while at < end:
        kind, length = struct.unpack_from("<BQ", whole, at)
        if not kinds or kind in kinds:
            found.append(at)
        at += 9 + length
    return found


def test_what_a_killed_recorder_wrote_is_there(tmp_path: Path) -> None:
    sent = [text("/a", START_NS + STEP_NS * index, str(index)) for index in range(10)]
    writer = BagWriter(tmp_path / "bag", chunk_bytes=1 << 20)
    for message in sent[:8]:
        writer.write(*message)
    writer.flush()
    for message in sent[8:]:
        writer.write(*message)
    # Never closed: as after kill -9, only what was flushed is in the file.
    found, damage = read(tmp_path / "bag")
    assert found == sent[:8]
    assert damage[0] == "there is no metadata.yaml: the recorder did not stop properly"
    assert "it has no end: the recorder was stopped before it could write the index" in damage[1]
    writer.close()
    assert read(tmp_path / "bag") == (sent, [])


def test_a_killed_process_loses_at_most_the_last_chunk(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        writer = BagWriter(tmp_path / "bag", chunk_bytes=500)
        for index in range(100):
            writer.write(*text("/a", START_NS + index, str(index)))
        os._exit(0)  # no finally, no flush, no destructor
    os.waitpid(child, 0)
    found, damage = read(tmp_path / "bag")
    assert [message.stamp_ns for message in found] == [START_NS + index for index in range(len(found))]
    assert len(found) > 100 - 500 / 31
    assert damage


def test_every_truncation_gives_the_chunks_before_it(tmp_path: Path, messages: Bag, ordered: Bag) -> None:
    whole = write("our_file", tmp_path / "bag", messages).read_bytes()
    path = tmp_path / "cut.mcap"
    most = 0
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        found, damage = read_if_possible(path)
        assert damage
        assert all(message in ordered for message in found)
        assert len(found) >= most  # once there is a chunk, it is read
        most = len(found)
    assert most == len(ordered)


def test_a_truncated_database_gives_an_error_or_what_is_left(tmp_path: Path, messages: Bag) -> None:
    whole = storage(write("rosbags_sqlite3", tmp_path / "bag", messages)).read_bytes()
    path = tmp_path / "cut.db3"
    for size in range(0, len(whole), 512):
        path.write_bytes(whole[:size])
        found, damage = read_if_possible(path)
        assert damage or len(found) == len(messages)


def test_a_damaged_chunk_is_left_out_and_the_others_are_read(tmp_path: Path) -> None:
    sent = [text("/a", START_NS + STEP_NS * index, f"number {index}") for index in range(6)]
    path = write("our_file", tmp_path / "bag", sent)
    whole = bytearray(path.read_bytes())
    at = whole.index(b"number 2")
    whole[at] ^= 1
    path.write_bytes(whole)
    found, damage = read(path)
    lost = [message for message in sent if message not in found]
    assert 0 < len(lost) < 6
    assert sent[2] in lost
    assert len(damage) == 2
    assert "the checksum of a chunk does not fit" in damage[0]
    assert damage[1] == f"/a: expected 6 messages, {6 - len(lost)} could be read"


def test_zeros_at_the_end_after_a_power_failure(tmp_path: Path, messages: Bag, ordered: Bag) -> None:
    path = write("our_file", tmp_path / "bag", messages)
    whole = path.read_bytes()
    end_of_data = whole.rindex(b"\x0f\x04\x00\x00\x00\x00\x00\x00\x00")
    path.write_bytes(whole[:end_of_data] + bytes(4096))
    found, damage = read(path)
    assert found == ordered
    assert f"it breaks off at byte {end_of_data}" in " ".join(damage)


def test_one_unreadable_file_of_several_costs_only_itself(tmp_path: Path, messages: Bag) -> None:
    folder = write("split", tmp_path / "bag", messages)
    (folder / "bag_1.mcap").write_bytes(b"nothing")
    found, damage = read(folder)
    assert 0 < len(found) < 40
    assert any("bag_1.mcap: expected an MCAP file" in text for text in damage)
    assert any("could be read" in text for text in damage)


def test_a_chunk_that_claims_to_be_huge_is_not_unpacked(tmp_path: Path, messages: Bag) -> None:
    bomb = zstandard.compress(bytes(64 << 20))
    path = write("zstd", tmp_path / "bag", messages)
    whole = storage(path).read_bytes()
    chunk = struct.pack("<QQQII", 1, 1, 100, 0, 4) + b"zstd" + struct.pack("<Q", len(bomb)) + bomb
    record = struct.pack("<BQ", 6, len(chunk)) + chunk
    at = whole.index(b"\x06")
    bad = tmp_path / "bomb.mcap"
    bad.write_bytes(whole[:at] + record + whole[at:])
    found, damage = read(bad)
    assert len(found) == 40
    assert any("was expected to have 100 bytes unpacked and claims" in text for text in damage)


def test_a_record_that_claims_to_be_huge_is_not_read(tmp_path: Path, messages: Bag) -> None:
    path = write("our_file", tmp_path / "bag", messages)
    whole = path.read_bytes()
    at = whole.index(b"\x06")
    path.write_bytes(whole[:at] + struct.pack("<BQ", 6, 1 << 62) + whole[at + 9 : -30])
    with pytest.raises(BagError, match="no message can be read"):
        read(path)


@pytest.mark.parametrize("form", FUZZED + FUZZED_SQLITE)
def test_flipped_bits_raise_nothing_but_bag_errors(form: str, tmp_path: Path, messages: Bag) -> None:
    folder = write(form, tmp_path / "bag", messages)
    whole = storage(folder).read_bytes()
    path = tmp_path / f"flipped{storage(folder).suffix}"

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(1, 255)), min_size=1, max_size=8))
    def flip(flips: list[tuple[int, int]]) -> None:
        damaged = bytearray(whole)
        for at, bits in flips:
            damaged[at] ^= bits
        path.write_bytes(damaged)
        found, damage = read_if_possible(path)
        stamps = [message.stamp_ns for message in found]
        assert all(0 <= stamp < 1 << 63 for stamp in stamps)
        assert damage or len(found) == len(messages) or form in FUZZED_SQLITE

    flip()


@pytest.mark.parametrize("form", ["no_chunks", "no_summary", *ONE_WITNESS, *BARE])
def test_no_flipped_bit_in_the_head_of_a_record_goes_unnoticed(
    form: str, tmp_path: Path, messages: Bag
) -> None:
    whole = storage(write(form, tmp_path / "bag", messages)).read_bytes()
    path = tmp_path / "flipped.mcap"
    records = starts(whole)
    # Every bit of the kinds and of the lengths' low bytes, and the first chunk or message as every kind.
    flips = [(at + byte, 1 << bit) for at in records for byte in range(3) for bit in range(8)]
    flips += [(starts(whole, 5, 6)[0], bits) for bits in range(1, 256)]
    for at, bits in flips:
        damaged = bytearray(whole)
        damaged[at] ^= bits
        path.write_bytes(damaged)
        found, damage = read_if_possible(path)
        if form in BARE and at in records and damaged[at] >= 0x10:
            continue  # a reserved kind: the specification has readers skip it, and nothing tells what it was
        assert damage or len(found) == len(messages), (at, bits)


def test_a_message_made_of_a_message_index_is_noticed(tmp_path: Path) -> None:
    sent = [text("/a", START_NS + STEP_NS * index, f"number {index}") for index in range(20)]
    path = write("only_message_index", tmp_path / "bag", sent)
    whole = bytearray(path.read_bytes())
    whole[starts(whole, 7)[1]] = 5
    path.write_bytes(whole)
    _, damage = read(path)
    assert len(damage) == 1
    assert "chunks without a message index beside others with one: 1, the first at byte" in damage[0]


def test_an_end_of_the_data_in_the_midst_of_it_is_noticed(tmp_path: Path, messages: Bag) -> None:
    path = write("bare", tmp_path / "bag", messages)
    whole = path.read_bytes()
    at = starts(whole, 5)[20]
    path.write_bytes(whole[:at] + struct.pack("<BQI", 15, 4, 0) + whole[at:])
    found, damage = read(path)
    assert len(found) == 20
    assert len(damage) == 1
    assert f"its data ends at byte {at + 13}, where its footer says {len(whole) - 24}" in damage[0]


def test_a_chunk_that_reaches_to_the_footer_is_noticed(tmp_path: Path, messages: Bag) -> None:
    path = write("bare_chunks", tmp_path / "bag", messages)
    whole = path.read_bytes()
    at, footer = starts(whole, 6)[2], starts(whole, 2)[0]
    path.write_bytes(whole[: at + 1] + struct.pack("<Q", footer - at - 9) + whole[at + 9 :])
    found, damage = read(path)
    assert len(found) < 40
    assert len(damage) == 1
    assert f"there is no end of its data before the footer at byte {footer}" in damage[0]


@pytest.mark.parametrize("form", ["small_chunks", "no_chunks"])
def test_statistics_without_counts_by_channel_are_no_damage(
    form: str, tmp_path: Path, messages: Bag, ordered: Bag
) -> None:
    path = write(form, tmp_path / "bag", messages)
    whole = path.read_bytes()
    at = starts(whole, 11)[0]
    statistics = struct.pack("<BQ", 11, 46) + whole[at + 9 : at + 51] + bytes(4)  # an empty map
    whole = whole[:at] + statistics + whole[at + 75 : -12] + bytes(4) + whole[-8:]  # no checksum
    path.write_bytes(whole)
    assert read(path) == (ordered, [])
    lost = bytearray(whole)
    lost[starts(whole, 5, 6)[3]] = 0x80
    path.write_bytes(lost)
    found, damage = read(path)
    assert f"bag.mcap: its index counts 40 messages; there are {len(found)}" in damage


def test_random_bytes_after_the_magic_raise_nothing_but_bag_errors(tmp_path: Path) -> None:
    numbers = random.Random(1)
    path = tmp_path / "random.mcap"
    for _ in range(300):
        # Small numbers make plausible opcodes and lengths.
        size = numbers.randrange(200)
        body = bytes(
            numbers.choice((0, 0, 0, 1, 3, 4, 5, 6, 9, 40, numbers.randrange(256))) for _ in range(size)
        )
        path.write_bytes(mcap_module.MAGIC + body + (mcap_module.MAGIC if numbers.random() < 0.5 else b""))
        found, damage = read_if_possible(path)
        assert not found
        assert damage


def test_damaged_metadata_raises_nothing_but_bag_errors(tmp_path: Path, messages: Bag) -> None:
    folder = write("ours", tmp_path / "bag", messages)
    path = folder / "metadata.yaml"
    whole = path.read_text()
    numbers = random.Random(2)
    lines = whole.splitlines()
    for _ in range(150):
        damaged = list(lines)
        for _ in range(numbers.randrange(1, 4)):
            at = numbers.randrange(len(damaged))
            key = damaged[at].partition(":")[0]
            damaged[at] = numbers.choice(
                ["", key, f"{key}: []", f"{key}: {{}}", f"{key}: -1", f"{key}: .nan", f"{key}: [1, 2", "\t"]
            )
        path.write_text("\n".join(damaged))
        found, damage = read_if_possible(folder)
        assert damage or len(found) == 40


@pytest.mark.parametrize(
    "yaml",
    [
        "",
        "42",
        "[" * 5000,
        "a: &a [x]\nb: &b [*a, *a]\nrosbag2_bagfile_information: *b",
        "rosbag2_bagfile_information: {version: 99}",
        "\x00",
    ],
)
def test_metadata_that_is_none_is_refused(tmp_path: Path, yaml: str) -> None:
    (tmp_path / "metadata.yaml").write_text(yaml)
    with pytest.raises(BagError, match=r"metadata\.yaml"):
        BagReader(tmp_path)


def test_a_message_that_cannot_be_unpacked_is_left_out(tmp_path: Path, messages: Bag) -> None:
    folder = write("rosbags_mcap_message", tmp_path / "bag", messages)
    path = storage(folder)
    whole = bytearray(path.read_bytes())
    at = whole.index(b"\x28\xb5\x2f\xfd", whole.index(b"\x28\xb5\x2f\xfd") + 4)  # the magic of the second one
    whole[at] ^= 0xFF
    path.write_bytes(whole)
    found, damage = read(folder)
    assert len(found) == 39
    assert any("a message cannot be unpacked" in text for text in damage)
    assert any("could be read" in text for text in damage)


def test_a_row_that_is_no_message_is_left_out(tmp_path: Path, messages: Bag) -> None:
    path = storage(write("rosbags_sqlite3", tmp_path / "bag", messages))
    connection = sqlite3.connect(path)
    connection.execute("UPDATE messages SET data = 1000000000000 WHERE id = 3")
    connection.execute("UPDATE messages SET timestamp = -5 WHERE id = 4")
    connection.commit()
    connection.close()
    copy = tmp_path / "rows.db3"
    shutil.copyfile(path, copy)
    found, damage = read(copy)
    assert len(found) == 38
    assert any("a row is no message" in text for text in damage)
