# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Task text as a fixed number of hashed words, for small policies that bring no tokenizer of their own."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

VOCABULARY_SIZE: Final = 2048
TOKENS: Final = 12
PADDING: Final = 0
SCHEME: Final = f"words-fnv1a32-{VOCABULARY_SIZE}-{TOKENS}"

_WORD = re.compile(r"[a-z0-9]+")
_FNV_OFFSET: Final = 0x811C9DC5
_FNV_PRIME: Final = 0x01000193


def token(word: str) -> int:
    """Number of a word, 1 to `VOCABULARY_SIZE` - 1: its 32-bit FNV-1a hash, folded.

    FNV-1a (RFC 9923) rather than `hash`, which Python salts for each process.
    """
    digest = _FNV_OFFSET
    for byte in word.encode("ascii"):
        digest = ((digest ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    return 1 + digest % (VOCABULARY_SIZE - 1)


def tokenize(text: str) -> NDArray[np.int64]:
    """Numbers of the first `TOKENS` words of a task, padded with `PADDING`: int64 [TOKENS].

    Words are runs of ASCII letters and digits, in lower case; everything else separates them.
    """
    numbers = np.full(TOKENS, PADDING, dtype=np.int64)
    for i, word in enumerate(_WORD.findall(text.lower())[:TOKENS]):
        numbers[i] = token(word)
    return numbers
