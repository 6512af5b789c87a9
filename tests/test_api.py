# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""docs/api.md lists every public name of the modules that it names, with what each says of itself."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "api.md"
_HEAD = re.compile(r"^### `lowlat_nodes\.([a-z0-9_.]+)`$", re.MULTILINE)
_ROW = re.compile(r"^\| `(\w+)` \| (.*) \|$", re.MULTILINE)


def listed() -> dict[str, dict[str, str]]:
    """Return what the page says of each name, by module."""
    parts = _HEAD.split(PAGE.read_text(encoding="utf-8"))
    return {module: dict(_ROW.findall(text)) for module, text in zip(parts[1::2], parts[2::2], strict=True)}


def source(module: str) -> Path:
    folder = ROOT / "lowlat_nodes" / module.replace(".", "/")
    return folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")


def told(module: str) -> dict[str, str]:
    """Return the first sentence that each public name says of itself; a package exports what it imports."""
    path = source(module)
    found: dict[str, str] = {}
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node, after in zip(tree.body, [*tree.body[1:], ast.Pass()], strict=True):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found[node.name] = ast.get_docstring(node) or ""
        elif isinstance(node, ast.ImportFrom) and path.name == "__init__.py":
            home = (node.module or "").removeprefix("lowlat_nodes.")
            for alias in node.names:
                if node.module and node.module.startswith("lowlat_nodes."):
                    found[alias.asname or alias.name] = told(home).get(alias.name, "")
        elif isinstance(node, ast.Assign | ast.AnnAssign) and not _is_type_variable(node):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            text = (
                after.value.value
                if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                else ""
            )
            found |= {target.id: str(text) for target in targets if isinstance(target, ast.Name)}
    return {name: _sentence(text) for name, text in found.items() if not name.startswith("_")}


def _is_type_variable(node: ast.Assign | ast.AnnAssign) -> bool:
    call = node.value
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "TypeVar"


def _sentence(text: str) -> str:
    return " ".join(text.strip().partition("\n\n")[0].split()).replace("|", "\\|")


@pytest.mark.parametrize("module", listed())
def test_the_page_says_of_each_public_name_what_the_code_says(module: str) -> None:
    code = told(module)
    untold = sorted(name for name, text in code.items() if not text)
    assert not untold, f"public without a sentence about themselves: {untold}"
    assert listed()[module] == code


def test_the_page_names_each_module_once_and_many_of_them() -> None:
    modules = _HEAD.findall(PAGE.read_text(encoding="utf-8"))
    assert len(modules) == len(set(modules)) >= 30
