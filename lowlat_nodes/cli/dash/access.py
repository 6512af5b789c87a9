# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Who may read the page: everybody on this machine, and whoever has the token where others can reach it."""

from __future__ import annotations

import hashlib
import hmac
import re
from http.cookies import CookieError, SimpleCookie

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.loopback import is_loopback

SHORTEST_TOKEN = 16
_TOKEN = re.compile(r"[A-Za-z0-9._~-]+\Z")
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::\d{1,5})?\Z")
_LONGEST_COOKIE = 4096


class Access:
    """Decides on each request by what it says of itself.

    Without a token, whoever asks must have asked for this machine by a name that means it: a page from
    elsewhere, whose name was made to mean this machine (DNS rebinding), has not. With a token, whoever brings
    it gets a cookie, so that it need not be in any further address.

    Args:
        host: The address that is listened at.
        port: Tells the cookies of several servers on one machine apart.
        token: What others must bring; empty for none, which only does for loopback addresses.

    Raises:
        ConfigurationError: If a token is missing, short, or would have to be quoted in an address.
    """

    def __init__(self, host: str, port: int, token: str) -> None:
        if not token and not is_loopback(host):
            raise ConfigurationError(
                f"expected a token to listen at {host}, where other machines can reach the page; leave out "
                f"--token to get one, or --host to stay on this machine"
            )
        if token and (len(token) < SHORTEST_TOKEN or not _TOKEN.match(token)):
            raise ConfigurationError(
                f"token: expected at least {SHORTEST_TOKEN} letters, digits or . _ ~ -, got {len(token)} "
                f"characters; leave it out to get one"
            )
        self._token = token.encode()
        self._cookie = f"lowlat_dash_{port}"
        # Not the token itself: a cookie that gets about opens this page, and no other one with that token.
        self._pass = hmac.new(self._token, self._cookie.encode(), hashlib.sha256).hexdigest()

    def admits(self, *, host: str, cookies: str | None, token: str | None) -> bool:
        """Return whether a request may be answered.

        Args:
            host: Its header Host.
            cookies: Its header Cookie; None without one.
            token: Of its address; None without one.
        """
        if not self._token:
            match = _HOST.match(host)
            return match is not None and is_loopback(match.group(1).strip("[]").lower())
        return self.by_token(token) or self._by_cookie(cookies)

    def by_token(self, token: str | None) -> bool:
        """Return whether a token is there and right; where none is asked for, none is."""
        given = (token or "").encode("utf-8", "surrogateescape")
        return bool(self._token) and hmac.compare_digest(given, self._token)

    def cookie(self) -> str:
        """Return the header Set-Cookie for whoever brought the token."""
        return f"{self._cookie}={self._pass}; Path=/; HttpOnly; SameSite=Strict"

    def _by_cookie(self, cookies: str | None) -> bool:
        if not cookies or len(cookies) > _LONGEST_COOKIE:
            return False
        try:
            found = SimpleCookie(cookies).get(self._cookie)
        except CookieError:
            return False
        return found is not None and hmac.compare_digest(found.value.encode(), self._pass.encode())
