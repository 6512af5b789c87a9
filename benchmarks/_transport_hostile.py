# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What strangers send: bytes that are none of ours, and keys that nobody allows."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lowlat_nodes.benchmarks import _transport_attacks, _transport_socket_fuzz
from lowlat_nodes.transport.zmq import fuzz as decoder_fuzz


def fuzz(decoded: int, sent: int) -> dict[str, Any]:
    """Return what became of changed messages.

    Args:
        decoded: How many go to the decoder, in processes of their own.
        sent: How many go to servers, sources and bridge over sockets.
    """
    decoder = decoder_fuzz.run(decoded)
    sockets = _transport_socket_fuzz.fuzz(sent)
    return {
        "fuzz": {
            "messages": decoder.messages + sockets["messages"],
            "crashes": decoder.crashes + sockets["crashes"],
            "hangs": decoder.hangs + sockets["hangs"],
            "decoder": {**asdict(decoder), "rss_growth_mb": round(decoder.growth_bytes * 1e-6, 2)},
            "sockets": sockets,
        }
    }


def attacks() -> dict[str, Any]:
    """Return who was let in that should not have been."""
    found = _transport_attacks.unauthorised()
    return {"unauthorised_accepted": found["accepted"], "attacks": found}
