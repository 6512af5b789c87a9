# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from http.cookies import SimpleCookie

import pytest

from lowlat_nodes.cli.dash.access import Access
from lowlat_nodes.stream.errors import ConfigurationError

TOKEN = "a-token-of-24-characters"


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8088",
        "LocalHost:9",
        "127.0.0.1",
        "127.0.0.1:80",
        "127.8.8.8",
        "[::1]",
        "[::1]:8088",
    ],
)
def test_without_a_token_a_request_for_this_machine_is_answered(host: str) -> None:
    assert Access("127.0.0.1", 8088, "").admits(host=host, cookies=None, token=None)


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "10.0.0.1",
     "localhost:x", "localhost\n", "127.0.0.1, evil.example", "[::1", "[fe80::1]"],
)  # fmt: skip
def test_without_a_token_a_request_for_another_name_is_refused(host: str) -> None:
    assert not Access("127.0.0.1", 8088, "").admits(host=host, cookies=None, token=None)


def test_a_token_opens_and_so_does_its_cookie() -> None:
    access = Access("192.168.1.7", 8088, TOKEN)
    assert access.admits(host="robot:8088", cookies=None, token=TOKEN)
    cookie = SimpleCookie(access.cookie())
    name, morsel = next(iter(cookie.items()))
    assert morsel["httponly"]
    assert morsel["samesite"] == "Strict"
    assert TOKEN not in morsel.value
    assert access.admits(host="robot:8088", cookies=f"other=1; {name}={morsel.value}", token=None)


@pytest.mark.parametrize("token", [None, "", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "\udcff", "ä" * 24])
@pytest.mark.parametrize(
    "cookies", [None, "", "lowlat_dash_8088=", f"lowlat_dash_8088={TOKEN}", "=;=", "x" * 9999]
)
def test_anything_else_does_not(token: str | None, cookies: str | None) -> None:
    assert not Access("192.168.1.7", 8088, TOKEN).admits(host="localhost", cookies=cookies, token=token)


def test_the_cookie_of_another_port_or_token_does_not_open() -> None:
    access = Access("192.168.1.7", 8088, TOKEN)
    for other in (Access("192.168.1.7", 8089, TOKEN), Access("192.168.1.7", 8088, TOKEN[::-1])):
        cookie = other.cookie().partition(";")[0]
        assert not access.admits(host="robot", cookies=cookie, token=None)
        value = cookie.partition("=")[2]
        assert not access.admits(host="robot", cookies=f"lowlat_dash_8088={value}", token=None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "robot.local"])  # noqa: S104
def test_other_machines_need_a_token(host: str) -> None:
    with pytest.raises(ConfigurationError, match="expected a token to listen at"):
        Access(host, 8088, "")


@pytest.mark.parametrize("token", ["short", "with a space in this one", "ümlauts-are-none-of-them"])
def test_a_token_that_is_easy_to_guess_or_to_garble_is_refused(token: str) -> None:
    with pytest.raises(ConfigurationError, match="expected at least 16 letters"):
        Access("127.0.0.1", 8088, token)
