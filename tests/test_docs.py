"""The docs say what is so: links lead somewhere, tables and commands are the real ones."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

import config

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    page for folder in ("*.md", "docs/**/*.md", "playground/*.md") for page in ROOT.glob(folder)
)

_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_INLINE_CODE = re.compile(r"`[^`\n]+`")


def links(markdown: str) -> list[str]:
    """The targets of links and images outside code, relative ones only."""
    prose = _INLINE_CODE.sub("", _FENCE.sub("", markdown))
    targets = re.findall(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)", prose)
    targets += re.findall(r"^\[[^\]]+\]:\s*(\S+)", prose, re.MULTILINE)
    targets += re.findall(r"<(?:a|img|source)\s[^>]*?(?:href|src|srcset)=\"([^\"]+)\"", prose)
    return [target for target in targets if not re.match(r"[a-z][a-z+.-]*:|//", target)]


def anchors(markdown: str) -> set[str]:
    """The anchors that GitHub makes for the headings of a page."""
    titles = re.findall(r"^#{1,6}\s+(.+?)\s*$", _FENCE.sub("", markdown), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken(page: Path, markdown: str) -> list[str]:
    """The relative links of a page that lead nowhere."""
    found = []
    for link in links(markdown):
        path, _, anchor = unquote(link).partition("#")
        target = page.parent / path if path else page
        if not target.exists():
            found.append(link)
        elif anchor and target.suffix == ".md":
            text = target.read_text(encoding="utf-8") if path else markdown
            if anchor not in anchors(text):
                found.append(link)
    return found


def make_targets_named(markdown: str) -> set[str]:
    code = [match.group() for match in _FENCE.finditer(markdown)]
    code += _INLINE_CODE.findall(_FENCE.sub("", markdown))
    return {name for part in code for name in re.findall(r"\bmake ([a-z][\w-]*)", part)}


def page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_relative_link_leads_somewhere(page):
    assert broken(page, page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_make_target_named_exists(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][\w-]*):", makefile, re.MULTILINE))
    assert make_targets_named(page.read_text(encoding="utf-8")) <= targets


def test_env_example_is_what_config_declares():
    written = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert written == config.env_example(), "run: python config.py --write-docs"


def test_the_settings_tables_are_what_config_declares():
    page = (ROOT / "docs" / "CONFIGURATION.md").read_text(encoding="utf-8")
    assert config.settings_tables() in page, "run: python config.py --write-docs"


def test_writing_the_tables_keeps_the_prose_around_them():
    page = f"before\n{config.settings_tables()}\nafter\n".replace("MAX_CONTEXT_TOKENS", "OLD")
    assert config.with_settings_tables(page) == f"before\n{config.settings_tables()}\nafter\n"


def test_a_broken_link_and_a_missing_heading_are_found():
    page = ROOT / "docs" / "CONFIGURATION.md"
    text = (
        "# One thing\n[a](nowhere.md) [b](#one-thing) [c](#another) [d](https://e.org)\n"
        "![e](../LICENSE) `[f](code.md)`\n```\n[g](fenced.md)\n```\n"
    )
    assert broken(page, text) == ["nowhere.md", "#another"]


def test_a_make_target_is_read_from_code_alone():
    assert make_targets_named("we make progress with `make test` and\n```\nmake run\n```\n") == {
        "test",
        "run",
    }
