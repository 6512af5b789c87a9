# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat keys`: makes keys for encrypted connections, and says which machines may connect to what."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lowlat_nodes.transport.zmq.certificates import PUBLIC
from lowlat_nodes.transport.zmq.curve import new_pair
from lowlat_nodes.transport.zmq.key_store import FOLDER_VARIABLE, KeyStore, StoredKey, is_key, name_of

EXIT_PROBLEMS = 1


def main(argv: Sequence[str]) -> int:
    """Do what `argv` says with the key store.

    Returns:
        0; 1 if `list` found problems.
    """
    options = _parse(argv)
    store = KeyStore(options.dir)
    code: int
    result, lines, code = options.run(store, options)
    if options.json:
        print(json.dumps(result))
    else:
        print("\n".join(lines))
    return code


def _new(store: KeyStore, options: argparse.Namespace) -> tuple[dict[str, Any], list[str], int]:
    pair = new_pair()
    store.add_pair(options.name, pair.public, pair.secret)
    public = shlex.quote(pair.public)
    lines = [
        f"made the keys {options.name!r} in {store.folder}; the secret one stays on this machine",
        f"public key: {pair.public}",
        "",
        f"as a server (key: {options.name}), let in a client whose public key you have:",
        f"    lowlat keys allow {options.name} PUBLIC_KEY --as CLIENT",
        "as a client, have the server let you in; where it runs:",
        f"    lowlat keys allow SERVER {public} --as {options.name}",
    ]
    secret = str(store.secret_file(options.name))
    return {"name": options.name, "public": pair.public, "secret_file": secret}, lines, 0


def _add(store: KeyStore, options: argparse.Namespace) -> tuple[dict[str, Any], list[str], int]:
    public = _public(store, options.key)
    store.add_public(options.name, public)
    lines = [f"clients here may connect to the server {options.name!r} (server_key: {options.name})"]
    return {"name": options.name, "public": public}, lines, 0


def _allow(store: KeyStore, options: argparse.Namespace) -> tuple[dict[str, Any], list[str], int]:
    if options.remove:
        return _deny(store, options)
    public = _public(store, options.key)
    name = options.client or _name_for(options.key, public)
    store.allow(options.node, public, name)
    lines = [f"{options.node} lets {name!r} in, at its next handshake if it runs already"]
    return {"node": options.node, "name": name, "public": public}, lines, 0


def _deny(store: KeyStore, options: argparse.Namespace) -> tuple[dict[str, Any], list[str], int]:
    gone = store.deny(options.node, options.key)
    names = ", ".join(map(repr, gone))
    lines = [f"{options.node} does not let {names} in any more; a connection that stands is cut in a second"]
    return {"node": options.node, "denied": gone}, lines, 0


def _list(store: KeyStore, _options: argparse.Namespace) -> tuple[dict[str, Any], list[str], int]:
    pairs, known = store.pairs(), store.known()
    lines = [f"keys in {store.folder}" + ("" if pairs or known else ": none; lowlat keys new NAME makes one")]
    for pair in pairs:
        lines.append(f"{pair.name:<16} {pair.public or '?'}")
        if pair.problem:
            lines.append(f"    problem: {pair.problem}")
        lines += [line for client in pair.clients for line in _lines(f"  lets in {client.name}", client)]
    for key in known:
        lines += _lines(f"{key.name:<16}", key, " (a server elsewhere)")
    keys = [*known, *(client for pair in pairs for client in pair.clients)]
    problems = [*filter(None, [*(pair.problem for pair in pairs), *(key.problem for key in keys)])]
    result = {
        "folder": str(store.folder),
        "pairs": [dataclasses.asdict(pair) for pair in pairs],
        "known": [dataclasses.asdict(key) for key in known],
        "problems": problems,
    }
    return result, lines, EXIT_PROBLEMS if problems else 0


def _lines(head: str, key: StoredKey, tail: str = "") -> list[str]:
    lines = [f"{head} {key.public or '?'}{tail}"]
    return [*lines, f"    problem: {key.problem}"] if key.problem else lines


def _public(store: KeyStore, text: str) -> str:
    """Return the public key that a user names: itself, a file of any name, or a name in the store."""
    if not is_key(text) and Path(text).expanduser().is_file():
        return store.public(str(Path(text).expanduser().absolute()))
    return store.public(text)


def _name_for(text: str, public: str) -> str:
    """Return a name for a client that was given none: that of its file, or one made of its key."""
    if is_key(text):
        return name_of(public)
    return Path(text).name.removesuffix(PUBLIC)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--dir",
        type=Path,
        metavar="FOLDER",
        help=f"the key store (${FOLDER_VARIABLE}, ~/.config/lowlat/keys)",
    )
    common.add_argument("--json", action="store_true", help="print one JSON object")
    parser = argparse.ArgumentParser(prog="lowlat keys", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, summary: str) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name, parents=[common], help=summary, description=summary.capitalize() + "."
        )
        made.set_defaults(run=run)
        return made

    new = command("new", _new, "make a pair of keys for a server or a client")
    new.add_argument("name", metavar="NAME")
    command("list", _list, "show the keys, who may connect to what, and what is wrong with the files")
    key = "a public key (40 characters, in single quotes), its file, or its name in the store"
    allow = command("allow", _allow, "let a client connect to a server of this machine")
    allow.add_argument("node", metavar="SERVER", help="name of the server's keys")
    allow.add_argument("key", metavar="KEY", help=key)
    allow.add_argument("--as", dest="client", default="", metavar="NAME", help="what to call the client")
    allow.add_argument("--remove", action="store_true", help="the same as lowlat keys deny")
    deny = command("deny", _deny, "take back what allow gave")
    deny.add_argument("node", metavar="SERVER", help="name of the server's keys")
    deny.add_argument("key", metavar="CLIENT", help="name or public key of the client")
    add = command("add", _add, "keep the public key of a server elsewhere under a name")
    add.add_argument("name", metavar="NAME")
    add.add_argument("key", metavar="KEY", help=key)
    return parser.parse_args(argv)
