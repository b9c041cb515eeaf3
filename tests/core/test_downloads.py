"""Downloads from a real server on this machine: whole, resumed, cut, changed, wrong, and not there."""

import hashlib
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

import exlcap.core.downloads as downloads
from exlcap.core.downloads import fetch, read_member, recorded_sha256
from exlcap.core.errors import ExlcapError

CONTENT = bytes(range(256)) * 4096  # 1 MB
SUM = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `content`; says what it was asked, and cuts connections after `cut` bytes as often as told."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.etag, self.ranges = CONTENT, '"one"', True
        self.cuts, self.cut, self.status, self.location = 0, 300_000, 200, None
        self.asked = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/net.zip"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.asked.append(wanted)
        if server.location:
            self.send_response(302)
            self.send_header("Location", server.location)
            self.end_headers()
            return
        if server.status != 200:
            self.send_error(server.status)
            return
        start = 0
        same = self.headers.get("If-Range") in (None, server.etag)
        if wanted and server.ranges and same:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(server.content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        else:
            self.send_response(200)
        body = server.content[start:]
        self.send_header("Content-Length", str(len(body)))
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        if server.cuts:
            server.cuts -= 1
            body = body[: server.cut]
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(downloads, "time", SimpleNamespace(sleep=lambda _: None, monotonic=time.monotonic))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Server()
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def test_a_file_is_fetched_once_with_progress_and_its_sum_recorded(server, tmp_path):
    seen = []
    path = tmp_path / "deep" / "net.zip"
    assert fetch(server.url, path, progress=lambda done, total: seen.append((done, total))) == SUM
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert len(seen) > 2
    assert recorded_sha256(path) == SUM
    assert fetch(server.url, path) == SUM
    assert server.asked == [None]
    assert not list(tmp_path.rglob("*.part*"))


def test_what_a_cut_left_is_continued_within_one_call(server, tmp_path):
    server.cuts = 2
    assert fetch(server.url, tmp_path / "net.zip") == SUM
    assert server.asked == [None, "bytes=300000-", "bytes=600000-"]


def test_what_cuts_left_is_kept_for_the_next_run(server, tmp_path):
    server.cuts = downloads.TRIES
    server.cut = 100_000
    path = tmp_path / "net.zip"
    with pytest.raises(ExlcapError, match=r"cut at 400000 of 1048576 bytes.*0\.4 MB are kept") as caught:
        fetch(server.url, path, way_out="use --weights FILE")
    assert "--weights FILE" in caught.value.hint
    assert not path.exists()
    assert fetch(server.url, path) == SUM
    assert server.asked[-1] == "bytes=400000-"
    assert path.read_bytes() == CONTENT


def test_a_server_without_ranges_starts_anew(server, tmp_path):
    server.ranges, server.cuts = False, 1
    assert fetch(server.url, tmp_path / "net.zip") == SUM
    assert server.asked == [None, "bytes=300000-"]


def test_a_file_that_changed_meanwhile_is_not_stitched_to_the_old_beginning(server, tmp_path):
    server.cuts = downloads.TRIES
    path = tmp_path / "net.zip"
    server.cut = 1000
    with pytest.raises(ExlcapError, match="cannot be downloaded"):
        fetch(server.url, path)
    server.content, server.etag = CONTENT[::-1], '"two"'
    fetch(server.url, path)
    assert path.read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_without_a_validator_a_beginning_is_used_only_when_the_sum_is_known(server, tmp_path, etag):
    server.etag, server.cuts = etag, 1
    fetch(server.url, tmp_path / "unknown.zip")
    assert server.asked == [None, None]
    server.cuts, server.asked = 1, []
    fetch(server.url, tmp_path / "known.zip", SUM)
    assert server.asked == [None, "bytes=300000-"]


def test_a_beginning_longer_than_the_file_is_thrown_away(server, tmp_path):
    (tmp_path / "net.zip.part").write_bytes(CONTENT + b"more")
    assert fetch(server.url, tmp_path / "net.zip", SUM) == SUM


def test_a_pinned_sum_that_differs_leaves_nothing(server, tmp_path):
    path = tmp_path / "net.zip"
    with pytest.raises(ExlcapError, match=f"has SHA-256 {SUM}, expected {'0' * 64}") as caught:
        fetch(server.url, path, "0" * 64)
    assert "pinned" in caught.value.hint
    assert {entry.name for entry in tmp_path.iterdir()} <= {"net.zip.lock"}


def test_the_first_sum_is_enforced_afterwards(server, tmp_path):
    path = tmp_path / "net.zip"
    fetch(server.url, path)
    path.unlink()
    server.content = b"another network"
    with pytest.raises(ExlcapError, match=f"expected {SUM}") as caught:
        fetch(server.url, path)
    assert "net.zip.sha256" in caught.value.hint
    assert not path.exists()


def test_a_file_damaged_on_this_disk_is_found(server, tmp_path):
    path = tmp_path / "net.zip"
    fetch(server.url, path)
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(ExlcapError, match=r"net\.zip has SHA-256") as caught:
        fetch(server.url, path)
    assert f"delete {path}" in caught.value.hint


def test_nobody_listening_is_told_with_the_way_out(server, tmp_path):
    url = server.url
    server.shutdown()
    server.server_close()
    with pytest.raises(ExlcapError, match="cannot be downloaded") as caught:
        fetch(url, tmp_path / "net.zip", way_out="give the file with --weights FILE")
    assert "--weights FILE" in caught.value.hint


def test_an_error_of_the_server_is_told(server, tmp_path):
    server.status = 404
    with pytest.raises(ExlcapError, match="answers 404"):
        fetch(server.url, tmp_path / "net.zip")
    assert server.asked == [None]
    server.status = 503
    with pytest.raises(ExlcapError, match="answers 503"):
        fetch(server.url, tmp_path / "net.zip")
    assert len(server.asked) == 1 + downloads.TRIES


def test_a_file_too_large_is_refused(server, tmp_path):
    with pytest.raises(ExlcapError, match="more than 1"):
        fetch(server.url, tmp_path / "net.zip", max_bytes=1_000_000)
    assert not (tmp_path / "net.zip").exists()


@pytest.mark.parametrize("url", ["http://example.org/net.zip", "file:///etc/passwd", "ftp://127.0.0.1/net.zip"])
def test_only_https_or_this_machine(tmp_path, url):
    with pytest.raises(ExlcapError, match="not an https address"):
        fetch(url, tmp_path / "net.zip")


def test_a_redirect_to_plain_http_is_not_followed(server, tmp_path):
    server.location = "http://example.org/net.zip"
    with pytest.raises(ExlcapError, match=r"example\.org/net\.zip is not an https address"):
        fetch(server.url, tmp_path / "net.zip")


def test_two_downloads_at_once_give_one_whole_file(server, tmp_path):
    path = tmp_path / "net.zip"
    sums = []
    threads = [threading.Thread(target=lambda: sums.append(fetch(server.url, path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sums == [SUM] * 4
    assert server.asked == [None]


def test_a_member_of_a_zip_is_found_in_whatever_folder(tmp_path):
    archive = tmp_path / "net.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("../../2023/rtmpose/end2end.onnx", CONTENT)
        made.writestr("2023/rtmpose/deploy.json", "{}")
    assert read_member(archive, "end2end.onnx") == CONTENT
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.zip"]
    with pytest.raises(ExlcapError, match=r"0 files called 'model\.onnx'") as caught:
        read_member(archive, "model.onnx")
    assert "end2end.onnx" in caught.value.hint


@pytest.mark.parametrize("damage", [lambda data: data[:-100], lambda data: data[:500] + b"xxxx" + data[504:]])
def test_a_damaged_zip_is_told(tmp_path, damage):
    archive = tmp_path / "net.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("a/end2end.onnx", CONTENT)
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(ExlcapError, match="not a whole zip"):
        read_member(archive, "end2end.onnx")


@pytest.mark.parametrize("place, value", [(6, 1), (8, 99)], ids=["encrypted", "packed in an unknown way"])
def test_a_zip_that_cannot_be_opened_is_told(tmp_path, place, value):
    path = tmp_path / "net.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("end2end.onnx", b"weights")
    data = bytearray(path.read_bytes())
    for start, shift in ((data.index(b"PK\x03\x04"), 0), (data.index(b"PK\x01\x02"), 2)):
        data[start + shift + place] = value
    path.write_bytes(data)
    with pytest.raises(ExlcapError, match="not a whole zip file"):
        read_member(path, "end2end.onnx")
