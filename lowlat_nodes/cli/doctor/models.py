# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Shipped models against their cards, which hold the SHA-256 of each."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator
from pathlib import Path

import yaml

from lowlat_nodes import resources
from lowlat_nodes.cli.doctor.examination import Examination
from lowlat_nodes.cli.doctor.finding import Finding, ok, problem, warning
from lowlat_nodes.cli.doctor.requirements import NAME, pip


def check(examination: Examination) -> Iterator[Finding]:
    """Hash the models of this installation."""
    del examination
    yield from judge(resources.path("models"))


def judge(folder: Path) -> Iterator[Finding]:
    """Compare each model of a folder with the card that names it."""
    said: dict[str, str] = {}
    for card in sorted(folder.glob("*.md")):
        hashes = hashes_of(card)
        if not hashes:
            yield problem(card.name, "The card names no model with a sha256.", *_anew(folder, card.name))
        said |= hashes
    there = {path.name: path for path in sorted(folder.glob("*.onnx"))}
    for name in sorted(said.keys() - there):
        yield problem(name, f"The model is missing in {folder}; its card is there.", *_anew(folder, name))
    good = []
    for name, path in there.items():
        if name not in said:
            yield warning(name, f"{path} has no card, so nobody can tell whether it is what was made.")
            continue
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found == said[name]:
            good.append(name)
        else:
            yield problem(
                name,
                f"{path} is not what its card says: expected sha256 {said[name][:16]}..., got "
                f"{found[:16]}...",
                *_anew(folder, name),
                expected=said[name],
                got=found,
            )
    if good:
        yield ok("models", f"{len(good)} models are what their cards say: {', '.join(good)}.", models=good)


def hashes_of(card: Path) -> dict[str, str]:
    """Return the SHA-256 of each model that the head of a card names."""
    parts = card.read_text(encoding="utf-8").split("---\n", 2)
    try:
        head = yaml.safe_load(parts[1]) if len(parts) == 3 else None
    except yaml.YAMLError:
        return {}
    if not isinstance(head, dict):
        return {}
    files = head.get("files", {head.get("file"): head.get("sha256")})
    if not isinstance(files, dict):
        return {}
    return {name: value for name, value in files.items() if isinstance(name, str) and isinstance(value, str)}


def _anew(folder: Path, name: str) -> tuple[str, ...]:
    root = folder.parent
    if (root / ".git").exists():
        return (f"git -C {shlex.quote(str(root))} checkout -- {folder.name}/{name}",)
    return (pip("install", "--force-reinstall", "--no-deps", NAME) + "    # or its wheel",)
