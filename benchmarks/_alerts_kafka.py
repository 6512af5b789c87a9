# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Alerts through a Kafka cluster while consumers are killed, and shared by several of them.

The consumers are real: `lowlat serve alerts`, from topic to topic. The cluster is the one that
KAFKA_BOOTSTRAP names, or the mock of the client library, which keeps 5 MB of a partition: packets are small,
simulated light curves of six epochs without cutouts, and never far ahead of the consumers.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.passbands import NAMES
from lowlat_nodes.sim.alert_packets import LSST_SCHEMA, LSST_SCHEMA_NUMBER, lsst_packets
from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Packet
from lowlat_nodes.transport.kafka.mock_cluster import running
from lowlat_nodes.transport.kafka.settings import BOOTSTRAP_VARIABLE, Connection, Consumption
from lowlat_nodes.transport.kafka.sink import KafkaSink
from lowlat_nodes.transport.kafka.source import KafkaSource

FIRST_ID = 1 << 40

_IN, _RESULTS, _LETTERS, _GROUP = "alerts", "results", "letters", "classifiers"
_EPOCHS = 6
_BROKEN_EVERY = 100
_SILENT_S = 90.0
"""What has not come after so long is lost."""

_BUSY_S = 0.15
"""CPU time of some hundred alerts; an idle member takes minutes for it."""

_SHARED_S = 10.0
"""A group has shared its partitions after so long."""

_AHEAD = 6_000
"""Alerts that wait in a partition at most: 3 of the 5 MB that the mock keeps."""


class Cluster:
    """A cluster, with names of its own for each run.

    Args:
        bootstrap: Its brokers.
        partitions: Of the topic of alerts, and of that of results.
    """

    def __init__(self, bootstrap: str, partitions: int, run: str = "") -> None:
        self.connection = Connection(bootstrap=bootstrap)
        self.bootstrap = bootstrap
        self.partitions = partitions
        self._run = run or uuid.uuid4().hex[:8]

    def name(self, topic: str) -> str:
        return f"{topic}_{self._run}"

    def at(self, bootstrap: str) -> Cluster:
        """Return the same with these brokers."""
        return Cluster(bootstrap, self.partitions, self._run)

    def create(self) -> None:
        """Make the topics of a real cluster."""
        from confluent_kafka.admin import AdminClient, NewTopic

        topics = [NewTopic(self.name(topic), self.partitions) for topic in (_IN, _RESULTS, _LETTERS)]
        for made in AdminClient({"bootstrap.servers": self.bootstrap}).create_topics(topics).values():
            made.result()


class Worker:
    """A consumer process.

    Args:
        cluster: Where it reads and writes.
        folder: Of schemas.
    """

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        parameters = {
            "source.kind": "kafka",
            "source.kafka.topics": f"[{cluster.name(_IN)}]",
            "source.kafka.group": cluster.name(_GROUP),
            "source.kafka.session_timeout_ms": 3_000,
            "schemas.folder": folder,
            "kafka.bootstrap": cluster.bootstrap,
            "to_kafka.results": cluster.name(_RESULTS),
            "to_kafka.dead_letters": cluster.name(_LETTERS),
        }
        flags = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lowlat_nodes.cli.main", "serve", "alerts", *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.set_blocking(self._process.stdout.fileno(), False)
        self._ready = ""

    @property
    def ready(self) -> bool:
        """Return whether it has said that it works; raise what it said if it has ended."""
        if not self._ready:
            self._ready = self._process.stdout.readline() or ""
        if self._process.poll() is not None:
            raise RuntimeError(f"a consumer ended: {self._process.stderr.read()[-2_000:]}")
        return bool(self._ready)

    @property
    def cpu_s(self) -> float:
        """Return the CPU time that it has used."""
        stat = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii")
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """End it as a crash or a power cut does."""
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()

    def close(self) -> str:
        """End it as a user does, and return what it says."""
        self._process.terminate()
        return self._process.communicate()[1]


class Tally:
    """Reads the topics of results and dead letters, and keeps who came how often.

    Args:
        cluster: Where they are.
    """

    def __init__(self, cluster: Cluster) -> None:
        topics = (cluster.name(_RESULTS), cluster.name(_LETTERS))
        self._source = KafkaSource(
            cluster.connection, Consumption(topics=topics, group=cluster.name("tally")), SystemClock()
        )
        self._results = topics[0]
        self.results: dict[bytes, list[bytes]] = defaultdict(list)
        self.letters: dict[bytes, int] = defaultdict(int)
        self.count = 0
        self.last_s = 0.0

    def take(self, timeout_s: float) -> None:
        """Take what has come."""
        for message in self._source.poll(10_000, timeout_s):
            packet = message.payload
            if packet.origin.startswith(f"{self._results}["):
                self.results[packet.key].append(packet.data)
                self.count += 1
            else:
                self.letters[packet.data] += 1
            self.last_s = time.monotonic()

    def close(self) -> None:
        """Check that nothing was missed here, and let go."""
        missed = self._source.drops.snapshot()
        self._source.close()
        if missed:
            raise RuntimeError(f"the benchmark itself was too slow for the cluster: {missed}")


def kill_test(kills: int = 20, rate_hz: float = 300.0, workers: int = 2, seed: int = 0) -> dict[str, Any]:
    """Kill consumers that work, one after the other, while alerts come; each is started again at once.

    Args:
        kills: How often.
        rate_hz: Of the alerts; every hundredth is broken and must become a dead letter.
        workers: Members of the group.
        seed: Of the choice of whom to kill, and when.

    Returns:
        `sent` and `delivered` alerts, `lost` ones, `redelivered` results (those that came once more than
        their alert), `duplicated_results` (alerts with more than one result after those of one key are
        taken as one), `contradictions` (results of one key that differ in more than their times), and
        the same for dead letters.
    """
    random = np.random.default_rng(seed)
    begin_s = time.monotonic()
    with _session(4) as (cluster, folder), ExitStack() as cleanup:
        tally = cleanup.enter_context(closing(Tally(cluster)))
        sender = cleanup.enter_context(closing(KafkaSink(cluster.connection, {"out": cluster.name(_IN)})))
        members = [Worker(cluster, folder) for _ in range(workers)]
        cleanup.callback(lambda: [member.close() for member in members])
        load = _Load(sender, rate_hz)

        def kill(victim: int) -> None:
            _until(lambda: members[victim].ready, tally, load)
            # It has joined and works once it uses more than an idle member.
            busy_s, count = members[victim].cpu_s + _BUSY_S, tally.count
            _until(lambda: members[victim].cpu_s > busy_s and tally.count > count, tally, load)
            kill_s = time.monotonic() + float(random.uniform(0.0, 1.0))
            _until(lambda: time.monotonic() >= kill_s, tally, load)
            members[victim].kill()
            members[victim] = Worker(cluster, folder)

        for _ in range(kills):
            kill(int(random.integers(workers)))
        load.finish()
        _drain(tally, load)
    return _count(load, tally) | {
        "kills": kills,
        "workers": workers,
        "rate_hz": rate_hz,
        "seconds": round(time.monotonic() - begin_s, 1),
        "cluster": "KAFKA_BOOTSTRAP" if os.environ.get(BOOTSTRAP_VARIABLE) else "mock",
    }


def scaling(partitions: Sequence[int] = (1, 2, 4), count: int = 20_000) -> dict[str, Any]:
    """Alerts a second of as many consumers as there are partitions, all on this machine's cores.

    Args:
        partitions: Of the topic, and so many workers.
        count: Alerts in each partition.

    Returns:
        By number of partitions: `alerts_per_s`, `cpu_us_per_alert` of the workers, and the work of the one
        that had the least, over the mean (`least_share`).
    """
    return {"cpus": len(os.sched_getaffinity(0))} | {
        str(number): _rate(number, count) for number in partitions
    }


class _Load:
    """Sends alerts at a rate, whatever the rest does.

    Args:
        sender: Takes them, as the output `out`.
        rate_hz: How many a second.
    """

    def __init__(self, sender: KafkaSink, rate_hz: float) -> None:
        self._sender = sender
        self._rate_hz = rate_hz
        self._begin_s = time.monotonic()
        self.sent = 0
        self.good: set[int] = set()
        self.broken: set[bytes] = set()

    def send(self) -> None:
        """Send what is due."""
        due = int((time.monotonic() - self._begin_s) * self._rate_hz) - self.sent
        if due <= 0:
            return
        for number, packet in enumerate(packets(FIRST_ID + self.sent, due), self.sent):
            if number % _BROKEN_EVERY == _BROKEN_EVERY - 1:
                broken = bytes(packet.data[:-40])
                self.broken.add(broken)
                self._sender.write(Message("out", Packet(broken, packet.key)))
            else:
                self.good.add(FIRST_ID + number)
                self._sender.write(Message("out", packet))
        self.sent += due

    def finish(self) -> None:
        """Wait until the cluster has all."""
        self._sender.flush(_SILENT_S)


def packets(first: int, count: int) -> Iterator[Packet]:
    """Yield small alerts with rising numbers, in the wire format of Rubin, keyed by number."""
    ids = np.arange(first, first + count, dtype=np.int64)
    random = np.random.default_rng(first)
    rows = count * _EPOCHS
    bands = np.array([NAMES.index("lsst_g"), NAMES.index("lsst_r")], np.uint8)
    curves = LightCurves(
        alert_id=ids,
        object_id=[str(number) for number in ids.tolist()],
        offsets=np.arange(count + 1, dtype=np.int64) * _EPOCHS,
        mjd=60_000.0 + np.tile(np.arange(_EPOCHS) * 3.0, count) + random.uniform(0.0, 1.0, rows),
        band=np.tile(bands, rows // 2),
        flux_njy=random.uniform(2_000.0, 20_000.0, rows),
        error_njy=random.uniform(100.0, 300.0, rows),
        detected=np.ones(rows, np.bool_),
    )
    for number, packet in zip(ids.tolist(), lsst_packets(curves, cutout_bytes=0), strict=True):
        yield Packet(packet.data, str(number).encode())


def _rate(partitions: int, count: int) -> dict[str, float]:
    total = partitions * count
    with _session(partitions) as (cluster, folder), ExitStack() as cleanup:
        tally = cleanup.enter_context(closing(Tally(cluster)))
        sender = cleanup.enter_context(closing(KafkaSink(cluster.connection, {"out": cluster.name(_IN)})))
        members = [Worker(cluster, folder) for _ in range(partitions)]
        cleanup.callback(lambda: [member.close() for member in members])
        given = [Message("out", packet) for packet in packets(FIRST_ID, total)]
        _until(lambda: all(member.ready for member in members), tally)
        calm_s = time.monotonic() + _SHARED_S
        _until(lambda: time.monotonic() >= calm_s, tally)
        before_s = [member.cpu_s for member in members]
        begin_s = time.monotonic()
        sent = 0
        while len(tally.results) < total:
            ahead = partitions * _AHEAD - (sent - len(tally.results))
            for message in given[sent : sent + max(0, ahead)]:
                sender.write(message)
                sent += 1
            tally.take(0.02)
            if time.monotonic() > max(tally.last_s, begin_s) + _SILENT_S:
                raise RuntimeError(f"{len(tally.results)} of {total} results came")
        took_s = tally.last_s - begin_s
        used_s = np.array([member.cpu_s for member in members]) - before_s
    return {
        "alerts_per_s": round(total / took_s, 1),
        "cpu_us_per_alert": round(float(used_s.sum()) / total * 1e6, 1),
        "least_share": round(float(used_s.min() / used_s.mean()), 2),
    }


@contextmanager
def _session(partitions: int) -> Iterator[tuple[Cluster, Path]]:
    """Yield a cluster with its topics, and a folder with the schema."""
    with ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory()))
        (folder / f"{LSST_SCHEMA_NUMBER}.avsc").write_bytes(LSST_SCHEMA)
        named = os.environ.get(BOOTSTRAP_VARIABLE)
        if named:
            cluster = Cluster(named, partitions)
            cluster.create()
        else:
            names = Cluster("", partitions)
            topics = dict.fromkeys(map(names.name, (_IN, _RESULTS, _LETTERS)), partitions)
            mock = cleanup.enter_context(running(topics))
            cluster = names.at(mock.bootstrap)
        yield cluster, folder


def _until(done: Callable[[], bool], tally: Tally, load: _Load | None = None) -> None:
    """Go on until it is done."""
    give_up_s = time.monotonic() + _SILENT_S
    while not done():
        if time.monotonic() > give_up_s:
            raise RuntimeError(f"nothing happened for {_SILENT_S:g} s, {tally.count} results came before")
        if load is not None:
            load.send()
        tally.take(0.02)


def _drain(tally: Tally, load: _Load) -> None:
    """Wait for what is missing, until nothing comes any more."""
    begin_s = time.monotonic()
    while len(tally.results) < len(load.good) or len(tally.letters) < len(load.broken):
        tally.take(0.2)
        if time.monotonic() > max(tally.last_s, begin_s) + _SILENT_S:
            return


def _count(load: _Load, tally: Tally) -> dict[str, Any]:
    found: dict[int, int] = defaultdict(int)
    contradictions = 0
    for results in tally.results.values():
        said = [json.loads(result) for result in results]
        found[said[0]["alert_id"]] += 1
        contradictions += not all(_agree(one, said[0]) for one in said)
    return {
        "sent": load.sent,
        "delivered": len(load.good & found.keys()),
        "lost": len(load.good - found.keys()),
        "duplicated_results": sum(number - 1 for number in found.values()),
        "redelivered": tally.count - len(tally.results),
        "contradictions": contradictions,
        "dead_letters": len(load.broken & tally.letters.keys()),
        "dead_letters_lost": len(load.broken - tally.letters.keys()),
    }


def _agree(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two results say the same: but for their times, and digits that are rounded in other company."""
    shares = [np.array([*result["p"].values(), *result["tree"].values()]) for result in (one, other)]
    rest = [
        {name: value for name, value in result.items() if name not in {"p", "tree"} and name[-3:] != "_ns"}
        for result in (one, other)
    ]
    return rest[0] == rest[1] and bool(np.allclose(*shares, rtol=0.0, atol=1e-5))
