"""Who may import whom, held by walking the imports of every file.

    bot.py → cogs → services        playground/ and config.py stand alone

Only bot.py, tests and benchmarks may touch everything.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parent.parent
HOUSE = ("bot", "cogs", "config", "playground", "services")

# Of each part of the house: what it must not import.
FORBIDDEN = {
    "services": {"bot", "cogs", "config", "discord", "playground"},
    "cogs": {"bot", "config", "playground"},
    "playground": {"bot", "cogs", "config", "discord", "services"},
    "config": {"bot", "cogs", "discord", "playground", "services"},
}
# Slow or large, and optional: imported inside the function that first needs them.
HEAVY = {
    "av",
    "faster_whisper",
    "kokoro",
    "numpy",
    "onnxruntime",
    "pydub",
    "redis",
    "soundfile",
    "tiktoken",
    "torch",
}
STARTS_FAST = {"bot", "cogs", "config", "services"}


@dataclass(frozen=True)
class Import:
    """One imported name, spelled from the top: `from .a import b` in x/y.py is x.a.b."""

    name: str
    line: int
    is_at_start: bool  # runs when the module is imported


def imports(path: PurePosixPath, source: str) -> Iterator[Import]:
    """The imports of a file, those of `import_module("literal")` among them."""
    package = path.parent.parts

    def walk(node: ast.AST, is_at_start: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, is_at_start)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = [*above, *([node.module] if node.module else [])]
            for alias in node.names:
                yield Import(".".join([*base, alias.name]), node.lineno, is_at_start)
        elif isinstance(node, ast.Call) and node.args:
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            name = node.args[0]
            if called in ("import_module", "__import__") and isinstance(name, ast.Constant):
                yield Import(str(name.value), node.lineno, is_at_start)
        is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        is_for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, is_at_start and not is_function and not is_for_types)

    return walk(ast.parse(source), True)


def violations(path: PurePosixPath, source: str) -> list[str]:
    """Each import of the file that breaks a rule, as `file:line: rule`."""
    part = path.parts[0].removesuffix(".py")
    found = []
    for imported in imports(path, source):
        names = imported.name.split(".")
        where = f"{path}:{imported.line}: "
        if names[0] in FORBIDDEN.get(part, ()):
            found.append(f"{where}{part} must not import {names[0]}")
        if names[0] in HEAVY and part in STARTS_FAST and imported.is_at_start:
            found.append(f"{where}{names[0]} must be imported inside the function that needs it")
        if part == "cogs" == names[0] and len(names) > 1 and len(path.parts) > 1:
            own = path.parts[1].removesuffix(".py")
            if names[1] != own:
                found.append(f"{where}cogs/{own} must not import cogs/{names[1]}, its neighbour")
    return found


def house_files() -> list[Path]:
    return [
        file
        for part in HOUSE
        for file in [*ROOT.glob(f"{part}.py"), *sorted((ROOT / part).rglob("*.py"))]
    ]


def test_every_import_keeps_the_direction():
    found = [
        violation
        for file in house_files()
        for violation in violations(
            PurePosixPath(file.relative_to(ROOT).as_posix()), file.read_text(encoding="utf-8")
        )
    ]
    assert not found, "\n" + "\n".join(found)


def test_the_walk_sees_the_house():
    parts = {file.relative_to(ROOT).parts[0].removesuffix(".py") for file in house_files()}
    assert {"config", "services"} <= parts


@pytest.mark.parametrize(
    ("path", "source", "rule"),
    [
        ("services/a.py", "import discord", "services must not import discord"),
        ("services/a.py", "from discord.ext import tasks", "services must not import discord"),
        ("services/llm/a.py", "def f():\n    import config", "services must not import config"),
        ("services/a.py", "import os, cogs.chat", "services must not import cogs"),
        ("services/a.py", "from config import Config as C", "services must not import config"),
        (
            "services/a.py",
            "from importlib import import_module\nimport_module('discord.ext')",
            "services must not import discord",
        ),
        (
            "services/a.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import discord",
            "services must not import discord",
        ),
        ("cogs/chat/cog.py", "import config", "cogs must not import config"),
        ("cogs/chat/cog.py", "from cogs import privacy", "cogs/chat must not import cogs/privacy"),
        ("cogs/chat/cog.py", "from ..voice import cog", "cogs/chat must not import cogs/voice"),
        ("cogs/errors.py", "from .chat import cog", "cogs/errors must not import cogs/chat"),
        ("playground/a.py", "from services import llm", "playground must not import services"),
        ("playground/a.py", "import discord", "playground must not import discord"),
        ("config.py", "import services.errors", "config must not import services"),
        ("services/a.py", "try:\n    import torch\nexcept ImportError:\n    pass", "torch must be"),
        ("bot.py", "class A:\n    import numpy as np", "numpy must be"),
        ("cogs/voice/a.py", "from kokoro import KPipeline", "kokoro must be"),
    ],
)
def test_a_violation_is_found_with_its_place(path, source, rule):
    (found,) = violations(PurePosixPath(path), source)
    assert found.startswith(f"{path}:")
    assert rule in found


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("services/llm/a.py", "from ..errors import BotError\nfrom .client import Client"),
        ("services/a.py", "async def f():\n    import torch"),
        (
            "services/a.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import numpy as np",
        ),
        ("cogs/chat/cog.py", "import discord\nfrom services.errors import BotError"),
        ("cogs/chat/cog.py", "from cogs.chat.reply import Reply\nfrom .controls import View"),
        ("bot.py", "import config, discord, cogs.chat, services.errors, playground.server"),
        ("playground/a.py", "import numpy"),
    ],
)
def test_what_is_allowed_is_not_reported(path, source):
    assert violations(PurePosixPath(path), source) == []
