# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A host for each role, as a network namespace, and cables to a switch between them that can be pulled."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

_NETWORK: Final = "10.214.0"
_PATIENCE_S: Final = 10.0


class NotPermitted(RuntimeError):
    """There are no network namespaces here, and why."""


class Hosts:
    """Network namespaces with an address each, joined by a bridge in one more of them.

    They live as long as processes that sleep in them, and leave nothing behind.

    Args:
        roles: Names of the hosts, of at most 15 characters.

    Raises:
        NotPermitted: If this user or this machine cannot have them.
    """

    def __init__(self, roles: Sequence[str]) -> None:
        self._stack = ExitStack()
        self._cut: dict[str, tuple[str, ...]] = {}
        try:
            self._switch = self._namespace()
            run(*self._inside(self._switch), "ip", "link", "add", "switch", "type", "bridge")
            run(*self._inside(self._switch), "ip", "link", "set", "switch", "up")
            self._holders = {role: self._plugged_in(role, number) for number, role in enumerate(roles, 1)}
        except (OSError, subprocess.CalledProcessError) as error:
            self.close()
            said = getattr(error, "stderr", "") or str(error)
            raise NotPermitted(f"network namespaces: {said.strip()}") from error
        self.addresses = {role: f"{_NETWORK}.{number}" for number, role in enumerate(roles, 1)}

    def prefix(self, role: str) -> tuple[str, ...]:
        """Return the command that runs a command on the host of a role."""
        return self._inside(self._holders[role])

    def pull(self, role: str, *, far: bool) -> None:
        """Take the link of a host down, at the host or at the switch."""
        device = (*self._inside(self._switch), "ip", "link", "set", role) if far else ()
        self._cut[role] = device or (*self.prefix(role), "ip", "link", "set", "eth0")
        run(*self._cut[role], "down")

    def plug(self, role: str) -> None:
        """Take the link that was pulled up again."""
        run(*self._cut.pop(role), "up")

    def close(self) -> None:
        """End all hosts."""
        self._stack.close()

    def _plugged_in(self, role: str, number: int) -> int:
        holder = self._namespace()
        switch, host = self._inside(self._switch), self._inside(holder)
        run(*switch, "ip", "link", "add", role, "type", "veth", "peer", "name", "eth0", "netns", str(holder))
        run(*switch, "ip", "link", "set", role, "master", "switch", "up")
        run(*host, "ip", "address", "add", f"{_NETWORK}.{number}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            run(*host, "ip", "link", "set", device, "up")
        return holder

    def _namespace(self) -> int:
        """Return the process that holds a new namespace."""
        holder = subprocess.Popen(
            ["unshare", "--net", "sleep", "infinity"], stderr=subprocess.PIPE, text=True
        )
        self._stack.callback(_end, holder)
        own = Path("/proc/self/ns/net").readlink()
        deadline_s = time.monotonic() + _PATIENCE_S
        while holder.poll() is None and Path(f"/proc/{holder.pid}/ns/net").readlink() == own:
            if time.monotonic() > deadline_s:
                raise OSError("unshare --net does not come to its end")
            time.sleep(0.01)
        if holder.poll() is not None:
            assert holder.stderr is not None
            raise OSError(holder.stderr.read())
        return holder.pid

    @staticmethod
    def _inside(holder: int) -> tuple[str, ...]:
        return ("nsenter", f"--net=/proc/{holder}/ns/net")


def run(*command: str) -> None:
    """Run a command that must succeed."""
    subprocess.run(command, check=True, capture_output=True, text=True)


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()
