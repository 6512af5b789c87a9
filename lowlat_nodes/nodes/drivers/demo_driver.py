# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Takes one run of the demo from the first sign of life of its nodes to the last light."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from diagnostic_msgs.msg import DiagnosticStatus

from lowlat_nodes.nodes.drivers.driver import POLICY, SIM, Driver, drive, tell

_LAST_WORDS_S = 0.5


class DemoDriver(Driver):
    """Waits until arm, policy and recorder are ready, starts the lights, and waits until the last is out.

    Besides the events of the lights it prints `{"policy": {name: text}}` with the policy's diagnostics, and
    `{"phase": word}`.

    Args:
        recorded: Topics that the recorder must listen to before anything starts.
        recorder: Name of its node.
    """

    def __init__(self, recorded: Sequence[str], recorder: str) -> None:
        super().__init__("demo_driver")
        self._recorded = recorded
        self._recorder = recorder

    def play(self, patience_s: float) -> None:
        """Take the run from beginning to end.

        Raises:
            RunProblemError: If something is not ready after `patience_s`, or falls silent.
        """
        tell(phase="starting")
        self.wait(self._missing, patience_s)
        # The counters of the policy before the start must be in the bag.
        self.hear_after(self.now_ns(), POLICY, SIM)
        self.start_lights()
        tell(phase="playing")
        self.follow_lights()
        self.hear_after(self.ended_ns, POLICY, SIM)
        self.spin(_LAST_WORDS_S)
        tell(phase="done")

    def heard(self, node: str, status: DiagnosticStatus) -> None:  # noqa: ARG002
        """Hand on what the policy counts."""
        if node == POLICY:
            tell(policy=self.values[node])

    def _missing(self) -> str:
        """Return what the run cannot start without, empty if all is there."""
        for topic in self._recorded:
            listeners = self.get_subscriptions_info_by_topic(topic)
            if not any(item.node_name == self._recorder for item in listeners):
                return self.missing_robot() or f"recorder on {topic}"
        return self.missing_robot()


def main() -> int:
    """Drive one run."""
    parser = argparse.ArgumentParser(prog="demo_driver", description=__doc__)
    parser.add_argument("--recorder", required=True, help="name of the recorder's node")
    parser.add_argument(
        "--patience-s", type=float, default=60.0, help="how long the nodes may take to be ready"
    )
    parser.add_argument("topics", nargs="+", help="what the recorder must listen to")
    options = parser.parse_args()
    return drive(lambda: DemoDriver(options.topics, options.recorder).play(options.patience_s))


if __name__ == "__main__":
    sys.exit(main())
