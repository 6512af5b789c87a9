# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""examples/alert_filter: an expression and a function keep what they should, over simulated alerts."""

from __future__ import annotations

import ast
import re
import signal
from typing import Any

import pytest

pytestmark = [pytest.mark.alerts, pytest.mark.sky]

PAGE = "alert_filter/README.md"
KEPT = 3


def test_both_filters_keep_what_they_say(workplace: Any) -> None:
    pytest.importorskip("sncosmo")
    pytest.importorskip("fastavro")
    workplace.on_path(str(workplace.folder / "examples" / "alert_filter"))
    client = workplace.documented(PAGE, "python3")
    early = [*client[:-1], "bright_and_early"]
    with (
        workplace.start(workplace.documented(PAGE, "lowlat serve alerts")) as alerts,
        workplace.start(client) as surprising,
        workplace.start(early) as bright,
    ):
        for listener in (surprising, bright):
            listener.wait_for(r"^\d+: record: ", KEPT)
            assert listener.end(signal.SIGINT) == 0, listener.lines
        assert alerts.end(signal.SIGINT) == 0, alerts.lines
    for line in surprising.lines:
        match = re.search(r" p (\{.*?\})", line)
        assert match is not None
        first, second = sorted(ast.literal_eval(match[1]).values(), reverse=True)[:2]
        assert first - second < 0.2
    for line in bright.lines:
        match = re.search(r" days ([\d.]+), .* magnitude ([\d.]+), ", line)
        assert match is not None
        assert float(match[1]) < 10.0
        assert float(match[2]) < 19.0
