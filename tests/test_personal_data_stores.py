"""Whatever writes files in services/ can be exported and deleted, held by walking its code.

A class that writes, itself or through a function of its module, is a store of personal data: it
has what services.personal_data.PersonalDataStore asks for, and is in
`Services.personal_data_stores`. What holds nothing of people's stands in EXEMPT with its reason.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# `file` or `file:name` of what writes, and why it is no store.
EXEMPT = {
    "services/atomic_write.py": "writes what the stores hand to it",
    "services/personas.py:Personas": "ids of channels and the persona chosen in each",
    "services/personal_data.py:PersonalData": "the wish itself, which outlives a deletion",
    "services/tts/kokoro_worker.py:_Pipe": "writes to the bot's process, not to a file",
    "services/voice/choices.py:VoiceChoices": "ids of servers and the voice chosen in each",
}
REQUIRED = ("delete_user", "export_user", "holds")

_WRITERS = {"replace_file", "write_bytes", "write_text"}
_OF_MODULES = {
    "os": {"link", "rename", "replace", "symlink", "write"},
    "shutil": {"copy", "copy2", "copyfile", "copyfileobj", "copytree", "make_archive", "move"},
    "sqlite3": {"connect"},
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def names_used(node: ast.AST) -> set[str]:
    """Names read anywhere in it: what is called, and what is handed on to be called."""
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} | {
        n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)
    }


def writes(node: ast.AST) -> bool:
    """Whether the code itself can make or change a file."""
    if names_used(node) & _WRITERS:
        return True
    for part in ast.walk(node):
        if (
            isinstance(part, ast.Attribute)
            and isinstance(part.value, ast.Name)
            and part.attr in _OF_MODULES.get(part.value.id, ())
        ):
            return True
        if isinstance(part, ast.Call) and opens_for_writing(part):
            return True
    return False


def opens_for_writing(call: ast.Call) -> bool:
    """`open`, of whatever module or path, with a mode that writes or is not known here."""
    if getattr(call.func, "attr", getattr(call.func, "id", "")) != "open":
        return False
    is_method = isinstance(call.func, ast.Attribute) and not isinstance(call.func.value, ast.Name)
    given = [*call.args, *(k.value for k in call.keywords if k.arg in ("mode", "flags"))]
    texts = [a.value for a in given if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    if modes := [text for text in texts if text and set(text) <= set("rwaxbt+")]:
        return any(set(mode) & set("wax+") for mode in modes)
    return len(given) > 1 and not is_method and not texts


def violations(
    sources: Mapping[str, str], container: str, exempt: Collection[str] = ()
) -> list[str]:
    """What breaks the rule, one sentence each.

    Args:
        sources: of services/, by path.
        container: the source that has the class Services.
        exempt: `file` or `file:name` of what writes and is no store.
    """
    registered = registered_stores(container)
    found, exempt_seen = [], set[str]()
    for path, source in sources.items():
        for name, node in writing_parts(source):
            if entry := {path, f"{path}:{name}"}.intersection(exempt):
                exempt_seen |= entry
                continue
            where = f"{path}:{node.lineno}: {name}"
            if not isinstance(node, ast.ClassDef):
                found.append(f"{where} writes files and belongs to no store of its module")
                continue
            if missing := [member for member in REQUIRED if member not in members(node)]:
                found.append(f"{where} writes files and has no {', '.join(missing)}")
            if name not in registered:
                found.append(f"{where} writes files and is not in Services.personal_data_stores")
    found += [f"{entry} is exempt and writes nothing" for entry in set(exempt) - exempt_seen]
    return sorted(found)


def writing_parts(source: str) -> Iterator[tuple[str, ast.stmt]]:
    """Classes that write, and functions that write and are used by no class here."""
    body = ast.parse(source).body
    functions = {node.name: node for node in body if isinstance(node, Function)}
    classes = [node for node in body if isinstance(node, ast.ClassDef)]
    writers = {name for name, node in functions.items() if writes(node)}
    while more := {
        name
        for name, node in functions.items()
        if name not in writers and names_used(node) & writers
    }:
        writers |= more
    used: set[str] = set()
    for node in classes:
        if writes(node) or names_used(node) & writers:
            yield node.name, node
            used |= reached(node, functions)
    for name in sorted(writers - used):
        yield name, functions[name]


def reached(node: ast.AST, functions: Mapping[str, ast.AST]) -> set[str]:
    """The functions of a module that code leads to."""
    found: set[str] = set()
    waiting = [node]
    while waiting:
        new = (names_used(waiting.pop()) & functions.keys()) - found
        found |= new
        waiting += [functions[name] for name in new]
    return found


def members(node: ast.ClassDef) -> set[str]:
    """The names that a class gives: methods, attributes, and what its methods set on `self`."""
    found = {part.name for part in node.body if isinstance(part, Function)}
    for part in node.body:
        targets = part.targets if isinstance(part, ast.Assign) else [getattr(part, "target", None)]
        found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found | {
        part.attr
        for part in ast.walk(node)
        if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store)
    }


def registered_stores(container: str) -> set[str]:
    """The classes of the fields that the property `Services.personal_data_stores` names."""
    services = next(
        node
        for node in ast.parse(container).body
        if isinstance(node, ast.ClassDef) and node.name == "Services"
    )
    types = {
        part.target.id: names_used(part.annotation)
        for part in services.body
        if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
    }
    listing = next(
        (
            part
            for part in services.body
            if isinstance(part, Function) and part.name == "personal_data_stores"
        ),
        None,
    )
    if listing is None:
        return set()
    returned = [part.value for part in ast.walk(listing) if isinstance(part, ast.Return)]
    return set().union(
        *(
            types.get(part.attr, set())
            for value in returned
            if value is not None
            for part in ast.walk(value)
            if isinstance(part, ast.Attribute)
        )
    )


def house() -> tuple[dict[str, str], str]:
    sources = {
        file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8")
        for file in sorted((ROOT / "services").rglob("*.py"))
    }
    return sources, sources["services/container.py"]


def test_everything_that_writes_can_be_exported_and_deleted():
    found = violations(*house(), EXEMPT)
    assert not found, "\n" + "\n".join(found)


def test_the_walk_sees_the_house():
    sources, container = house()
    assert "HistoryStore" in dict(writing_parts(sources["services/history_store.py"]))
    assert "HistoryStore" in registered_stores(container)


# ---------------------------------------------------------------------- the walk itself

CONTAINER = """
class Services:
    notes: NoteStore
    metrics: Metrics

    @property
    def personal_data_stores(self):
        return (self.notes,)
"""
STORE = """
class {name}:
    holds = "Notes."
    async def export_user(self, user_id): ...
    async def delete_user(self, user_id): ...
    def save(self):
        {save}
"""


def check(source: str) -> list[str]:
    return violations({"services/a.py": source}, CONTAINER)


@pytest.mark.parametrize(
    "save",
    [
        "replace_file(self.path, b'')",
        "atomic_write.replace_file(self.path, b'')",
        "await asyncio.to_thread(replace_file, self.path, b'')",
        "open(self.path, 'w')",
        "open(self.path, mode='ab')",
        "open(self.path, mode)",
        "self.path.open('rb+')",
        "aiofiles.open(self.path, 'ab', buffering=0)",
        "gzip.open(self.path, 'wb')",
        "os.open(self.path, os.O_WRONLY)",
        "self.path.write_bytes(b'')",
        "await asyncio.to_thread(self.path.write_text, '')",
        "shutil.move(self.path, self.archive)",
        "os.replace(self.path, self.archive)",
        "sqlite3.connect(self.path)",
    ],
)
def test_every_way_of_writing_makes_a_store(save):
    assert check(STORE.format(name="NoteStore", save=save)) == []
    assert check(STORE.format(name="Diary", save=save)) == [
        "services/a.py:2: Diary writes files and is not in Services.personal_data_stores"
    ]


def test_what_a_store_holds_may_be_said_when_it_is_made():
    source = STORE.format(name="NoteStore", save="replace_file(self.path, b'')")
    made = "def __init__(self, days):\n        self.holds = f'Notes, for {days} days.'"
    assert check(source.replace('holds = "Notes."', made)) == []
    (found,) = check(source.replace('holds = "Notes."', "days = 31"))
    assert found.endswith("NoteStore writes files and has no holds")


@pytest.mark.parametrize(
    "save",
    [
        "self.path.read_bytes()",
        "open(self.path)",
        "open(self.path, 'rb')",
        "self.path.open()",
        "aiofiles.open(self.path, encoding='utf-8')",
        "self.history.open()",
        "'a'.replace('b', 'c')",
        "{}.copy()",
    ],
)
def test_what_only_reads_is_no_store(save):
    assert check(STORE.format(name="Diary", save=save)) == []


@pytest.mark.parametrize(
    ("source", "rules"),
    [
        (
            "class NoteStore:\n    def save(self): replace_file(self.path, b'')",
            ["NoteStore writes files and has no delete_user, export_user, holds"],
        ),
        (
            STORE.format(name="Diary", save="await asyncio.to_thread(_outer, self.path)")
            + "def _outer(path): _inner(path)\ndef _inner(path): path.write_bytes(b'')",
            ["Diary writes files and is not in Services.personal_data_stores"],
        ),
        (
            "def keep(path, text): path.write_text(text)",
            ["keep writes files and belongs to no store of its module"],
        ),
    ],
)
def test_a_breach_is_found_however_the_writing_is_hidden(source, rules):
    found = check(source)
    assert len(found) == len(rules)
    assert all(rule in line for rule, line in zip(rules, found, strict=True))


def test_a_container_without_the_list_registers_nothing():
    assert registered_stores("class Services:\n    notes: NoteStore") == set()


def test_an_exemption_covers_what_it_names_and_one_that_nothing_needs_is_found():
    source = "class Diary:\n    def save(self): self.path.write_text('')"
    sources = {"services/a.py": source}
    assert violations(sources, CONTAINER, ["services/a.py"]) == []
    assert violations(sources, CONTAINER, ["services/a.py:Diary"]) == []
    assert violations({}, CONTAINER, ["services/b.py"]) == [
        "services/b.py is exempt and writes nothing"
    ]
