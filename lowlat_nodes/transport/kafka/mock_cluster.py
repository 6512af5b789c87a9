# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The mock cluster of the Kafka client library in a process of its own: brokers for tests and demonstrations.

`python -m lowlat_nodes.transport.kafka.mock_cluster` prints the addresses of its brokers in a line, and ends
when its standard input does, which a parent that dies takes with it. Lines there make it fail: `down 1` and
`up 1` take a broker off its network and back, and `refuse 0 45` has the next request of kind 0 answered with
error 45, by the numbers of Kafka's protocol. It listens on the loopback interface.

It keeps no more than 5 MB of each partition and forgets all with its process.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra

_PRODUCER = 0
_ERROR_BYTES = 512
_REBALANCE_DELAY_MS = 500  # for which a new group waits for more consumers; 3000 in a real broker


def serve(topics: Mapping[str, int], *, brokers: int = 1) -> None:
    """Run a cluster until the standard input ends.

    Args:
        topics: Number of partitions by the name of a topic; other topics come into being with 4 when used.
        brokers: How many brokers there are.

    Raises:
        MissingExtra: Without confluent-kafka.
        ConfigurationError: If that library has no mock cluster.
    """
    library = _library()
    library.rd_kafka_conf_new.restype = ctypes.c_void_p
    library.rd_kafka_new.restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_new.restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    error = ctypes.create_string_buffer(_ERROR_BYTES)
    conf = ctypes.c_void_p(library.rd_kafka_conf_new())
    # It says by itself that it knows no broker, which is as it should be.
    library.rd_kafka_conf_set(conf, b"log_level", b"3", error, ctypes.c_size_t(_ERROR_BYTES))
    client = library.rd_kafka_new(_PRODUCER, conf, error, ctypes.c_size_t(_ERROR_BYTES))
    cluster = library.rd_kafka_mock_cluster_new(ctypes.c_void_p(client), brokers) if client else None
    if not cluster:
        raise ConfigurationError(f"cannot make a mock cluster: {error.value.decode() or 'refused'}")
    handle = ctypes.c_void_p(cluster)
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(handle, ctypes.c_int32(_REBALANCE_DELAY_MS))
    for topic, partitions in topics.items():
        if library.rd_kafka_mock_topic_create(handle, topic.encode(), partitions, 1):
            raise ConfigurationError(f"cannot make the topic {topic!r} with {partitions} partitions")
    print(library.rd_kafka_mock_cluster_bootstraps(handle).decode(), flush=True)
    refuse = library.rd_kafka_mock_push_request_errors_array
    act: dict[str, Callable[..., object]] = {
        "down": lambda broker: library.rd_kafka_mock_broker_set_down(handle, broker),
        "up": lambda broker: library.rd_kafka_mock_broker_set_up(handle, broker),
        "refuse": lambda kind, error: refuse(handle, kind, ctypes.c_size_t(1), (ctypes.c_int * 1)(error)),
    }
    for line in sys.stdin:
        word, *numbers = line.split()
        act[word](*map(int, numbers))


@dataclass(frozen=True, eq=False)
class MockCluster:
    """A cluster in a process of its own.

    Attributes:
        bootstrap: The addresses of its brokers.
    """

    bootstrap: str
    _process: subprocess.Popen[str]

    def tell(self, line: str) -> None:
        """Have it fail soon, as a line of its standard input says."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()


@contextlib.contextmanager
def running(topics: Mapping[str, int], *, brokers: int = 1) -> Iterator[MockCluster]:
    """Run a cluster in a process of its own."""
    made = [f"{name}={partitions}" for name, partitions in topics.items()]
    command = [sys.executable, "-m", __name__, "--brokers", str(brokers), *made]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            bootstrap = process.stdout.readline().strip()
            if not bootstrap:
                raise ConfigurationError("the mock cluster did not start; its error is above")
            yield MockCluster(bootstrap, process)
        finally:
            process.kill()


def _library() -> ctypes.CDLL:
    """Return the C library inside the Python package; only that one is known to be of its version."""
    try:
        import confluent_kafka
    except ImportError:
        raise MissingExtra("confluent_kafka", "alerts") from None
    folder = Path(confluent_kafka.__file__).parent
    for place in (folder.parent / "confluent_kafka.libs", folder / ".dylibs"):
        for file in sorted(place.glob("librdkafka*")):
            return ctypes.CDLL(str(file))
    return ctypes.CDLL("librdkafka.so.1")  # of the system, where the package was built on it


def main() -> None:
    """Run a cluster as the command line says."""
    parser = argparse.ArgumentParser(description="A Kafka cluster in memory, until standard input ends.")
    parser.add_argument("topics", nargs="*", metavar="TOPIC=PARTITIONS")
    parser.add_argument("--brokers", type=int, default=1)
    arguments = parser.parse_args()
    serve(
        {name: int(count or 1) for name, _, count in (topic.partition("=") for topic in arguments.topics)},
        brokers=arguments.brokers,
    )


if __name__ == "__main__":
    main()
