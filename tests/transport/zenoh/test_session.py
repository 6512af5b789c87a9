# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A session talks to other machines only behind certificates on both sides, or where it is told to."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.zenoh.session import ZenohSettings, open_session

pytestmark = pytest.mark.zenoh

PATIENCE_S = 60.0


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def written(folder: Path, **content: Any) -> str:
    path = folder / "zenoh.json5"
    path.write_text(json.dumps(content))
    return str(path)


@pytest.mark.parametrize(
    "settings",
    [
        {"listen": ("tcp/0.0.0.0:0",)},
        {"listen": ("tcp/[::]:0",)},
        {"listen": ("tcp/127.0.0.1:0", "udp/192.168.0.1:7447")},
        {"listen": ("tls/0.0.0.0:0",)},
        {"listen": ("quic/192.168.0.1:7447",)},
        {"connect": ("tcp/robot.local:7447",)},
        {"connect": ("tcp/10.0.0.1:7447",), "mode": "client"},
    ],
)
def test_other_machines_in_the_clear_are_refused_with_the_remedy(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"enable_mtls.*zenoh\.insecure: true"):
        open_session(ZenohSettings(**settings))


def test_what_a_file_says_is_looked_at_too(tmp_path: Path) -> None:
    for content in (
        {"listen": {"endpoints": ["tcp/0.0.0.0:0"]}},
        {"listen": {"endpoints": {"peer": ["tcp/0.0.0.0:0"], "router": []}}},
    ):
        with pytest.raises(ConfigurationError, match="reaches other machines"):
            open_session(ZenohSettings(config=written(tmp_path, **content)))
    with pytest.raises(ConfigurationError, match=r"scouting\.multicast would connect to anybody"):
        open_session(
            ZenohSettings(
                config=written(tmp_path, listen={"endpoints": []}, scouting={"multicast": {"enabled": True}})
            )
        )


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="expected a file"):
        open_session(ZenohSettings(config=str(tmp_path / "nothing.json5")))
    (tmp_path / "bad.json5").write_text("{")
    with pytest.raises(ConfigurationError, match="zenoh: "):
        open_session(ZenohSettings(config=str(tmp_path / "bad.json5")))


def test_an_address_that_is_taken_is_refused() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigurationError, match="zenoh: "):
            open_session(ZenohSettings(listen=(f"tcp/127.0.0.1:{taken.getsockname()[1]}",)))


def test_a_client_needs_its_router() -> None:
    with pytest.raises(ConfigurationError, match="zenoh: "):
        open_session(ZenohSettings(mode="client", connect=(f"tcp/127.0.0.1:{free_port()}",)))


def test_a_session_that_is_told_nothing_listens_nowhere() -> None:
    with contextlib.closing(open_session(ZenohSettings())) as session:
        assert session.info.peers_zid() == []


def test_it_listens_to_others_where_it_is_told_to() -> None:
    open_session(ZenohSettings(listen=("tcp/0.0.0.0:0",), insecure=True)).close()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no program openssl to make certificates with")
def test_certificates_on_both_sides_let_in_whoever_has_one_and_keep_strangers_out(tmp_path: Path) -> None:
    ours, theirs = authority(tmp_path / "ours"), authority(tmp_path / "theirs")
    endpoint = f"tls/127.0.0.1:{free_port()}"
    with contextlib.ExitStack() as stack:

        def opened(name: str, folder: Path, trusts: Path, **settings: Any) -> Any:
            tls = {
                "root_ca_certificate": str(trusts / "ca.pem"),
                "listen_private_key": str(folder / "node.key"),
                "listen_certificate": str(folder / "node.pem"),
                "connect_private_key": str(folder / "node.key"),
                "connect_certificate": str(folder / "node.pem"),
                "enable_mtls": True,
            }
            place = tmp_path / name
            place.mkdir()
            path = written(place, transport={"link": {"tls": tls}}, listen={"endpoints": []})
            session = open_session(ZenohSettings(config=path, **settings))
            stack.callback(session.close)
            return session

        server = opened("server", ours, ours, listen=(endpoint, "tls/0.0.0.0:0"))
        stranger = opened("stranger", theirs, ours, connect=(endpoint,))
        friend = opened("friend", ours, ours, connect=(endpoint,))
        until(lambda: server.info.peers_zid() == [friend.zid()])
        time.sleep(1.0)  # the stranger tries again and again
        assert stranger.info.peers_zid() == []
        assert server.info.peers_zid() == [friend.zid()]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def authority(folder: Path) -> Path:
    """Make an authority and a certificate of it for this machine."""
    folder.mkdir()

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=ca")
    openssl("req", *new_key, "-keyout", "node.key", "-out", "node.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
    openssl("x509", "-req", "-in", "node.csr", "-out", "node.pem", *signing)
    return folder
