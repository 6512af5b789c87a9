# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The folders in which processes of a host meet, and whether somebody else could exchange what is in them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from lowlat_nodes.cli.doctor.examination import Examination
from lowlat_nodes.cli.doctor.finding import Finding, ok, problem
from lowlat_nodes.energy import folder as energy
from lowlat_nodes.inference.turns import folder as turns
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.trusted_folder import MEMORY, trusted_folder


def check(examination: Examination) -> Iterator[Finding]:
    """Judge the folders as the nodes do, without making any."""
    environment, user = examination.environment, os.geteuid()
    given = environment.get(energy.VARIABLE)
    shared = energy.SHARED if energy.SHARED.exists() else MEMORY / f"lowlat_energy_{user}"
    yield judge("energy", Path(given) if given else shared, energy.VARIABLE)
    given = environment.get(turns.VARIABLE)
    yield judge("turn", Path(given) if given else MEMORY / f"lowlat_turns_{user}", turns.VARIABLE)


def judge(subject: str, folder: Path, variable: str) -> Finding:
    """Return whether nodes would use a folder.

    Args:
        subject: What it is for.
        folder: Its path.
        variable: The environment variable that names another one.
    """
    if not folder.exists() and folder.parent.is_dir():
        return ok(subject, f"{folder} will be made, for this user alone.", folder=str(folder))
    try:
        trusted_folder(folder, subject, variable)
    except ConfigurationError as error:
        own = MEMORY / f"lowlat_{subject}_of_{os.geteuid()}"
        mend = (f"ls -ld {folder}", f"export {variable}={own}    # of this user, for all nodes")
        return problem(subject, f"Nodes refuse the folder: {error}", *mend, folder=str(folder))
    return ok(subject, f"{folder} is safe to meet in.", folder=str(folder))
