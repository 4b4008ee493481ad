"""Speakable text: what is read aloud of an answer, the same however it arrives."""

from __future__ import annotations

import random

import pytest

from services.voice.speakable import ENGLISH, MentionKind, SpeakableText, phrases_in

CODE = ENGLISH.code_block
NAMES = {
    ("user", 1): "Ada",
    ("user", 5): "*🎉 Bo <@5>*",
    ("user", 6): "🎉",
    ("role", 2): "the moderators",
    ("channel", 3): "general",
}


def name_of(kind: MentionKind, number: int) -> str | None:
    return NAMES.get((kind, number))


def speakable(*pieces: str) -> str:
    text = SpeakableText(name_of=name_of)
    return "".join([*map(text.push, pieces), text.flush()])


TABLE = [
    # emphasis
    ("This is **bold** and *slanted*.", "This is bold and slanted."),
    ("This is __under__ and _slanted_ and ***both***.", "This is under and slanted and both."),
    ("~~gone~~ but ~5 left", "gone but ~5 left"),
    ("**Note:** read this", "Note: read this"),
    ("un**frigging**believable", "unfrigging" + "believable"),
    ("snake_case_name and __init__", "snake case name and init"),
    ("3 * 4 = 12 and 2*3 and 2**10", "3 × 4 = 12 and 2×3 and 2^10"),
    ("2 *or* 3 * of", "2 or 3 of"),
    (r"\*not slanted\* and \_so\_", "not slanted and so"),
    (r"C:\temp and 1\. no list", "C: temp and 1. no list"),
    # lines
    ("# Title\ntext", "Title.\ntext"),
    ("### Is it?\ntext", "Is it?\ntext"),
    ("-# small print", "small print."),
    ("#hashtag stays", "#hashtag stays"),
    ("- apples\n- pears\n", "apples.\npears.\n"),
    ("* one\n+ two\n• three", "one.\ntwo.\nthree."),
    ("1. Open it.\n2) Close it", "1. Open it.\n2. Close it."),
    ("- [ ] open\n- [x] done", "open.\ndone."),
    ("- a:\n  - b", "a:\nb."),
    ("- 苹果\n- 梨", "苹果。\n梨。"),
    ("- सेब", "सेब।"),
    ("- แอปเปิล\n- ส้ม", "แอปเปิล\nส้ม"),
    ("> quoted\n> more\nmine", "quoted\nmore\nmine"),
    (">>> all\nof it", "all\nof it"),
    ("5 > 3 and 3 < 5", "5 > 3 and 3 < 5"),
    ("above\n\n---\n\nbelow", "above\n\nbelow"),
    ("above\n***\nbelow", "above\n\nbelow"),
    ("Title\n=====\ntext", "Title\n\ntext"),
    ("one\n\n\n\n\ntwo   three", "one\n\ntwo three"),
    ("  \n leading", "leading"),
    ("**bold** starts a line", "bold starts a line"),
    ("-5 degrees", "-5 degrees"),
    ("3.5 is a number", "3.5 is a number"),
    ("2024 was good", "2024 was good"),
    # tables
    (
        "| Name | Age |\n|:---|---:|\n| Ann | 30 |\n| Bob | |\nend",
        "Name, Age.\n\nAnn, 30.\nBob.\nend",
    ),
    ("Ann | 30", "Ann, 30"),
    # code
    ("Look:\n```python\nprint(1)\n```\nDone.", f"Look:\n{CODE}\n\nDone."),
    ("```\na\n```\nand\n```\nb\n```\nend", f"{CODE}\n\nand\n\nend"),
    ("```\na\n```\n\n```\nb\n```\n- x", f"{CODE}\n\nx."),
    ("-" * 500 + "\nbelow", "below"),
    ("A ```one``` line", f"A\n{CODE}\nline"),
    ("````md\n```\ninner\n```\n````\nafter", f"{CODE}\n\nafter"),
    ("Cut off:\n```js\nlet a = `x`", f"Cut off:\n{CODE}\n"),
    ("1. Run:\n   ```sh\n   ls\n   ```\n2. Look", f"1. Run:\n{CODE}\n\n2. Look."),
    ("Use `npm install` now", "Use npm install now"),
    ("Call `foo_bar()` or ``a`b``.", "Call foo bar or a b."),
    ("Use `--help` in `config.py`.", "Use help in config.py."),
    ("End it with `;`", "End it with some code"),
    ("`" + "x = y; " * 10 + "`", "some code"),
    ("It's 5` long", "It's 5 long"),
    ("an `open\nline", "an open\nline"),
    ("`**not bold**`", "not bold"),
    # links
    ("See https://example.com/a_b?c=1.", "See a link."),
    ("See <https://example.com> (www.example.com).", "See a link (a link)."),
    ("Read [the **docs**](https://example.com/x_(y)) now", "Read the docs now"),
    ('[text](<https://example.com> "title")', "text"),
    ("![a cat](https://example.com/cat.png)", "a cat"),
    ("[](https://example.com)", "a link"),
    ("[https://example.com](https://example.com)", "a link"),
    ("an [aside] here", "an [aside] here"),
    ("[not a link] (really)", "[not a link] (really)"),
    ("how https works with www and http", "how https works with www and http"),
    ("看https://example.com/路。好", "看a link路。好"),
    ("example.com is fine", "example.com is fine"),
    ("a fact[1] and more[^note].\n\n[^note]: From a book.\nEnd", "a fact and more.\n\nEnd"),
    # Discord
    ("Hi <@1> and <@!9>, <@&2>", "Hi Ada and somebody, the moderators"),
    ("<@5> and <@6>", "Bo somebody and somebody"),
    ("in <#3> or <#4>", "in general or a channel"),
    ("party <a:dance:123> time <:wave:456>!", "party time!"),
    ("at <t:1700000000:R>, be there", "at, be there"),
    ("type </join voice:123>", "type join voice"),
    ("see <id:customize>", "see a channel"),
    ("@everyone and @here, a@b.org", "everyone and here, a@b.org"),
    ("The killer is ||the butler||.", "The killer is a spoiler."),
    ("a ||never closed", "a never closed"),
    ("x || y\n\nnext", "x y\n\nnext"),
    ("nice :thumbs_up: work :+1:", "nice work"),
    ("Note: at 10:30:45 it ends: now", "Note: at 10:30:45 it ends: now"),
    # emoji and signs
    ("Great 🎉! Hi 👋, you 👨‍👩‍👧 too 🇩🇪", "Great! Hi, you too"),
    ("I ❤️ it", "I it"),
    ("1️⃣ first", "1 first"),
    ("ok✅done", "ok done"),
    ("A → B -> C => D", "A, B, C, D"),
    ("yes -- no --- maybe – so", "yes — no — maybe – so"),
    ("a well-known x == y", "a well-known x = y"),
    # HTML
    ("Tom &amp; Jerry &lt;3 it&#39;s", "Tom & Jerry <3 it's"),
    ("AT&T &nbsp; R&D &unknown; ok", "AT&T R&D &unknown; ok"),
    ("a smile &#128512; &ast;here&ast; &amp;lt;", "a smile here &lt;"),
    ("one<br>two<br/>three", "one\ntwo\nthree"),
    ("H<sub>2</sub>O is <b>wet</b> <span class='x'>ok</span>", "H2O is wet ok"),
    ("if x<y and y>z", "if x<y and y>z"),
    ("soft\u00adhy\u200bphen", "softhyphen"),
    # nothing to say
    ("", ""),
    ("🎉🎉", ""),
    ("***", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), TABLE)
def test_markup_is_not_spoken(text, said):
    assert speakable(text) == said


@pytest.mark.parametrize(("text", "said"), TABLE)
def test_what_is_said_is_the_same_a_character_at_a_time(text, said):
    assert speakable(*text) == said


def test_what_is_said_is_the_same_wherever_the_answer_is_cut():
    choice = random.Random(11)
    for joint in (" ", "\n", "\n\n", ""):
        for _ in range(20):
            text = joint.join(text for text, _ in choice.sample(TABLE, 12))
            whole = speakable(text)
            for _ in range(10):
                cuts = sorted(choice.sample(range(1, len(text)), choice.randint(1, 60)))
                pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
                assert speakable(*pieces) == whole


def test_noise_is_said_the_same_wherever_it_is_cut_and_without_its_marks():
    choice = random.Random(13)
    signs = "ab1 *_~`|[]()<>@#:!&;\\-=\n.,hw/🎉"
    for _ in range(300):
        text = "".join(choice.choices(signs, k=60))
        said = speakable(text)
        assert speakable(*text) == said, repr(text)
        assert not set("*`|🎉") & set(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("It is late, ", "It is late,"),
        ("It is late, b", "It is late, b"),
        ("A [brack", "A"),
        ("A [brack\n", "A [brack\n"),
        ("a **bo", "a bo"),
        ("see htt", "see"),
        ("see how", "see how"),
        ("a < b", "a < b"),
        ("a <b", "a"),
        ("AT&T is", "AT&T is"),
        ("AT&T", "AT"),
        ("a ||hidden", "a"),
        ("a `tick", "a"),
        ("12", ""),
        ("12 m", "12 m"),
        ("- ", ""),
        ("well-", "well"),
        ("wow!", "wow"),
    ],
)
def test_only_what_may_still_become_markup_is_held_back(text, said):
    assert SpeakableText().push(text) == said


@pytest.mark.parametrize("opening", ["[", "||", "`", "<a:", "<b ", "&amp", "https://a", "[a]("])
def test_what_never_closes_is_given_within_its_bound(opening):
    speaking = SpeakableText()
    said = speaking.push("Before " + opening) + speaking.push("x" * 3000) + speaking.push(" y")
    assert said.endswith("y")


def test_the_remark_on_code_comes_while_the_block_is_written():
    speaking = SpeakableText()
    assert speaking.push("Here:\n```py") == f"Here:\n{CODE}\n"
    assert speaking.push("thon\nx = 1\n") == ""


def test_timestamps_are_said_in_words_where_there_are_words():
    speaking = SpeakableText(time_in_words=lambda seconds, style: f"{seconds // 3600} h {style}")
    assert speaking.push("At <t:7200:t> or <t:3600>. ") == "At 2 h t or 1 h f."


def test_phrases_follow_the_language():
    assert phrases_in("de-AT").link == "ein Link"
    assert phrases_in("xx") == ENGLISH
    speaking = SpeakableText(phrases=phrases_in("ja"))
    assert speaking.push("```\na\n```\n<@5> ") == f"{phrases_in('ja').code_block}\n\n誰か"
