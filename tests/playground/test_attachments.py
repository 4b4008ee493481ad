"""Files: bounded, and safe to serve."""

import itertools

import pytest

from playground import Playground, Refusal
from playground.attachments import MAX_FILE_BYTES, AttachmentStore, Upload


def store(**options):
    ids = itertools.count(1)
    return AttachmentStore(lambda: str(next(ids)), **options)


def test_upload_is_used_once():
    files = store()
    upload_id = files.hold(Upload("a.txt", b"hello"))
    assert files.claim(upload_id).data == b"hello"
    with pytest.raises(Refusal):
        files.claim(upload_id)


def test_file_over_8_mib_is_refused():
    files = store()
    files.hold(Upload("a.bin", bytes(MAX_FILE_BYTES)))
    with pytest.raises(Refusal) as refusal:
        files.hold(Upload("a.bin", bytes(MAX_FILE_BYTES + 1)))
    assert refusal.value.status == 413


def test_oldest_files_go_when_the_total_is_full():
    files = store(max_total_bytes=100)
    first = files.hold(Upload("a", bytes(60)))
    second = files.hold(Upload("b", bytes(60)))
    with pytest.raises(Refusal):
        files.claim(first)
    assert files.claim(second)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\photo 1.png", "photo_1.png"),
        (".htaccess", "htaccess"),
        ('a";\r\nX: y.txt', "a____X__y.txt"),
        ("", "file"),
        ("grüße.md", "gr__e.md"),
    ],
)
def test_name_holds_no_path_and_nothing_that_breaks_a_header(given, kept):
    attachment = store().add_all("1", [Upload(given, b"x")])[0]
    assert attachment["filename"] == kept


async def test_attachment_comes_back_as_it_was_sent(pg: Playground, session):
    message = await pg.human("Alice").send("chat", files=[("notes.txt", b"one\ntwo")])
    async with session.get(message["attachments"][0]["url"]) as response:
        assert await response.read() == b"one\ntwo"
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert response.headers["Content-Disposition"].startswith("inline")
        assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", ["page.html", "drawing.svg", "run.js"])
async def test_what_a_browser_could_run_is_served_as_a_download(pg: Playground, session, name):
    message = await pg.human("Alice").send("chat", files=[(name, b"<script>1</script>")])
    async with session.get(message["attachments"][0]["url"]) as response:
        assert response.headers["Content-Disposition"].startswith("attachment")
        assert "sandbox" in response.headers["Content-Security-Policy"]


async def test_attachment_is_found_under_its_own_address_only(pg: Playground, session):
    message = await pg.human("Alice").send("chat", files=[("a.txt", b"x")])
    url = message["attachments"][0]["url"]
    async with session.get(url.replace("a.txt", "b.txt")) as response:
        assert response.status == 404
    async with session.get(f"{pg.page_url}attachments/1/2/..%2f..%2fserver.py") as response:
        assert response.status == 404
