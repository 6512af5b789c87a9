# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from lowlat_nodes.inference.tokens import PADDING, SCHEME, TOKENS, VOCABULARY_SIZE, token, tokenize
from lowlat_nodes.sim.reaction import COLOURS
from lowlat_nodes.train.scenarios import (
    HOLD_PHRASES,
    INSERTION_PHRASES,
    INTERCEPTION_PHRASES,
    REACTION_PHRASES,
)


def test_numbers_never_change() -> None:
    # A shipped model has learned these; a change of the scheme needs a new name and a new model.
    assert SCHEME == "words-fnv1a32-2048-12"
    assert tokenize("touch the red light").tolist() == [1200, 1731, 113, 1374] + [PADDING] * 8


def test_case_and_punctuation_do_not_matter() -> None:
    assert np.array_equal(tokenize("Touch, the RED-light!"), tokenize("touch the red light"))


def test_every_text_gives_the_same_shape() -> None:
    for text in ("", "   ", "ü ß 漢字", "one " * 100):
        numbers = tokenize(text)
        assert numbers.shape == (TOKENS,)
        assert numbers.dtype == np.int64
        assert 0 <= numbers.min() <= numbers.max() < VOCABULARY_SIZE
    assert not tokenize("").any()


def test_the_words_of_the_task_do_not_collide() -> None:
    phrases = (*REACTION_PHRASES, *INTERCEPTION_PHRASES, *INSERTION_PHRASES, *HOLD_PHRASES)
    text = " ".join((*phrases, *COLOURS)).replace("{colour}", "")
    words = set(text.split())
    assert len({token(word) for word in words}) == len(words)
