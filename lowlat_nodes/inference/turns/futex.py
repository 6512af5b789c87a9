# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Waits for a word in shared memory to change, and wakes who waits, across processes: futex(2).

A word that has changed before the wait begins ends it at once, so no wake-up is lost; the kernel keeps no
name or file of it, so a dead process leaves nothing behind.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
import sys

from lowlat_nodes.stream.errors import ConfigurationError

_NUMBERS = {"x86_64": 202, "aarch64": 98, "riscv64": 98}  # of the system call
_WAIT, _WAKE = 0, 1
_WORD = (1 << 32) - 1


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


_syscall = ctypes.CDLL(None).syscall
_syscall.restype = ctypes.c_long


class Futex:
    """One word of 32 bits in a shared mapping.

    Args:
        memory: Writable, and open as long as this is; `release` lets go of it.
        offset: Where the word begins, a multiple of 4.

    Raises:
        ConfigurationError: If this machine or its sandbox has no such system call.
    """

    def __init__(self, memory: mmap.mmap, offset: int) -> None:
        number = _NUMBERS.get(platform.machine(), 0) if sys.maxsize > _WORD else 0
        self._word = ctypes.c_uint32.from_buffer(memory, offset)
        self._number = ctypes.c_long(number)
        self._address = ctypes.c_void_p(ctypes.addressof(self._word))
        if not number or self.wake() < 0:
            self.release()
            raise ConfigurationError(
                f"turn: expected Linux on one of {', '.join(_NUMBERS)} that allows futex(2), got "
                f"{platform.machine()} {sys.platform}; leave turn.device empty here"
            )

    @property
    def value(self) -> int:
        """The word."""
        return self._word.value

    def advance(self) -> None:
        """Change the word, and wake whoever waits for that."""
        self._word.value = (self._word.value + 1) & _WORD
        self.wake()

    def wake(self) -> int:
        """Wake whoever waits; return how many there were."""
        return int(_syscall(self._number, self._address, _WAKE, ctypes.c_int(1), None, None, ctypes.c_int(0)))

    def wait(self, value: int, timeout_ns: int) -> None:
        """Return once the word is not `value`, after the timeout, or earlier for no reason."""
        time = _TimeSpec(*divmod(timeout_ns, 1_000_000_000))
        expected = ctypes.c_uint32(value)
        _syscall(self._number, self._address, _WAIT, expected, ctypes.byref(time), None, ctypes.c_int(0))

    def release(self) -> None:
        """Let go of the memory."""
        self._word = ctypes.c_uint32(self._word.value)
        self._address = ctypes.c_void_p(ctypes.addressof(self._word))
