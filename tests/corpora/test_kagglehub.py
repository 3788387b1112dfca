"""Downloads through the genuine kagglehub client, from a server on this machine, and its cache with no network.

``KAGGLE_API_ENVIRONMENT=TEST`` points the client to http://localhost:7777. In that mode it also prints each answer in
full, which reads the whole archive into memory before it is written; the printing is switched off, so that the client
streams as it does elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import socket
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import soundfile

from ser_kit import corpora
from ser_kit.core.errors import CorpusNotFoundError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ser_kit.core.errors.IncompleteCorpusWarning")]

PORT = 7777
NAMES = ["03a01Fa.wav", "03a01Nc.wav", "08a01Na.wav"]
OWNER, SLUG = "piyushagni5", "berlin-database-of-emotional-speech-emodb"
DOWNLOAD = "/api/v1/datasets.DatasetApiService/DownloadDataset"
ARCHIVE = "/storage/archive.zip"


def wav_bytes(seed: int) -> bytes:
    """A fifth of a second of noise, which does not compress."""
    file = io.BytesIO()
    soundfile.write(file, np.random.default_rng(seed).uniform(-0.5, 0.5, 3200), 16000, format="WAV", subtype="PCM_16")
    return file.getvalue()


def archive_bytes() -> bytes:
    """What Kaggle would send: a zip with the clips in wav/, and again in a second folder.

    It is padded to four blocks of 1 MiB, the unit in which the client writes.
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("README.pdf", np.random.default_rng(0).bytes(4 << 20))
        for seed, name in enumerate(NAMES):
            archive.writestr(f"wav/{name}", wav_bytes(seed))
            archive.writestr(f"copy/wav/{name}", wav_bytes(seed))
    return file.getvalue()


class Kaggle(ThreadingHTTPServer):
    """Answers like Kaggle: the request for a data set is redirected to a storage server, here the same one.

    Attributes:
        drops: how many more transfers of the archive break off half way.
        status: of the answer to the request for a data set, if not the redirect.
        token: what the client must show, if anything.
        seen: path, ``Range`` and ``Authorization`` of each request.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("localhost", PORT), Handler)
        self.content = archive_bytes()
        self.drops = 0
        self.status = 302
        self.token = ""
        self.corrupt = False
        self.seen: list[tuple[str, str | None, str | None]] = []

    def handle_error(self, request, client_address):  # a client that hangs up is part of the tests
        pass


class Handler(BaseHTTPRequestHandler):
    """See :class:`Kaggle`."""

    protocol_version = "HTTP/1.1"
    server: Kaggle

    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.path, None, self.headers["Authorization"]))
        known = (asked["ownerSlug"], asked["datasetSlug"], asked["datasetVersionNumber"]) == (OWNER, SLUG, 1)
        status = self.server.status if known and self.path == DOWNLOAD else 404
        if self.server.token and self.headers["Authorization"] != f"Bearer {self.server.token}":
            status = 401 if self.headers["Authorization"] else 403
        body = b"" if status == 302 else json.dumps({"code": status, "message": "no"}).encode()
        self.send_response(status)
        if status == 302:
            self.send_header("Location", f"http://localhost:{PORT}{ARCHIVE}")
        self.send_header("Content-Type", "application/json" if body else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        wanted = self.headers["Range"]
        self.server.seen.append((self.path, wanted, self.headers["Authorization"]))
        content = self.server.content
        digest = base64.b64encode(hashlib.md5(content).digest()).decode()
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        rest = content[start:]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Type", "application/zip")
        self.send_header("Content-Length", str(len(rest)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("X-Goog-Hash", f"md5={digest}")
        self.end_headers()
        if self.server.corrupt:
            rest = bytes(len(rest))
        if self.server.drops:
            self.server.drops -= 1
            self.wfile.write(rest[: len(rest) // 2])
            self.close_connection = True
            return
        self.wfile.write(rest)


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty kagglehub cache, on a machine without credentials and without recordings elsewhere."""
    for variable in (
        "SER_KIT_DATA", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN", "KAGGLE_KERNEL_RUN_TYPE",
        "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY",
    ):  # fmt: skip
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "home" / ".kaggle"))
    monkeypatch.setenv("KAGGLE_CACHE_MOUNT_FOLDER", str(tmp_path / "mount"))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "TEST")
    return tmp_path / "cache"


@pytest.fixture
def kaggle(cache, monkeypatch):
    """The server, listening; another test process may hold the port for a moment."""
    from kagglesdk.kaggle_http_client import KaggleHttpClient

    monkeypatch.setattr(KaggleHttpClient, "_print_request", lambda *_, **__: None)
    monkeypatch.setattr(KaggleHttpClient, "_print_response", lambda *_, **__: None)
    deadline = time.monotonic() + 15
    while True:
        try:
            server = Kaggle()
            break
        except OSError as error:
            if time.monotonic() > deadline:
                pytest.skip(f"port {PORT}, the only one that the client's test mode knows, is taken ({error})")
            time.sleep(0.2)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def versions(cache: Path) -> Path:
    """Where kagglehub keeps the versions of the data set."""
    return cache / "datasets" / OWNER / SLUG / "versions"


def complete(cache: Path) -> bool:
    """Whether kagglehub counts the data set as there."""
    return (cache / "datasets" / OWNER / SLUG / "1.complete").exists()


def test_download_and_extraction(kaggle, cache):
    table = corpora.load("emodb")
    assert table["clip_id"].tolist() == ["emodb:03a01Fa", "emodb:03a01Nc", "emodb:08a01Na"]
    assert table["path"].tolist() == [str(versions(cache) / "1" / "wav" / name) for name in NAMES]
    assert Path(table["path"][0]).read_bytes() == wav_bytes(0)
    assert complete(cache)
    assert [path for path, *_ in kaggle.seen] == [DOWNLOAD, ARCHIVE]

    # The second time everything comes from the cache, without a request.
    assert corpora.load("emodb").equals(table)
    assert len(kaggle.seen) == 2


def test_a_dropped_connection_is_resumed(kaggle, cache):
    kaggle.drops = 1
    assert len(corpora.load("emodb")) == 3
    (resumed,) = [asked for path, asked, _ in kaggle.seen if path == ARCHIVE and asked]
    start = int(resumed.removeprefix("bytes=").removesuffix("-"))
    assert 0 < start <= len(kaggle.content) // 2
    assert complete(cache)


def test_a_connection_that_keeps_dropping_leaves_no_corpus(kaggle, cache):
    kaggle.drops = 100
    with pytest.raises(CorpusNotFoundError, match="the download failed") as caught:
        corpora.load("emodb")
    assert caught.value.__cause__ is not None
    assert not complete(cache)
    assert not list(cache.rglob("*.wav"))

    # What did arrive is used by the next attempt.
    kaggle.drops = 0
    kaggle.seen.clear()
    assert len(corpora.load("emodb")) == 3
    assert any(asked and asked != "bytes=0-" for _, asked, _ in kaggle.seen)


def test_damaged_content_is_refused(kaggle, cache):
    kaggle.corrupt = True
    with pytest.raises(CorpusNotFoundError, match="DataCorruptionError"):
        corpora.load("emodb")
    assert not complete(cache)
    kaggle.corrupt = False
    assert len(corpora.load("emodb")) == 3


def test_a_missing_data_set(kaggle, cache):
    with pytest.raises(CorpusNotFoundError, match="404") as caught:
        corpora.load("savee")
    assert "https://www.kaggle.com/datasets/ejlok1/surrey-audiovisual-expressed-emotion-savee" in str(caught.value)
    assert not list(cache.rglob("*.complete"))


def test_no_credentials(kaggle, cache, monkeypatch):
    kaggle.token = "right"
    with pytest.raises(CorpusNotFoundError, match="403") as caught:
        corpora.load("emodb")
    message = str(caught.value)
    for help_with in (
        "https://www.kaggle.com/settings",
        "KAGGLE_API_TOKEN",
        "kaggle.json",
        "root=",
        "SER_KIT_DATA",
        SLUG,
    ):
        assert help_with in message
    monkeypatch.setenv("KAGGLE_API_TOKEN", "wrong")
    with pytest.raises(CorpusNotFoundError, match="401"):
        corpora.load("emodb")
    monkeypatch.setenv("KAGGLE_API_TOKEN", "right")
    assert len(corpora.load("emodb")) == 3


def test_broken_credentials_file(kaggle, cache, tmp_path):
    (tmp_path / "home" / ".kaggle").mkdir(parents=True)
    (tmp_path / "home" / ".kaggle" / "kaggle.json").write_text("{not json")
    with pytest.raises(CorpusNotFoundError, match="Invalid Kaggle credentials file"):
        corpora.load("emodb")


def test_local_folders_come_before_a_download(kaggle, tmp_path, monkeypatch):
    local = tmp_path / "data" / SLUG / "wav" / NAMES[0]
    local.parent.mkdir(parents=True)
    local.write_bytes(wav_bytes(0))
    monkeypatch.setenv("SER_KIT_DATA", str(tmp_path / "data"))
    assert corpora.load("emodb")["path"].tolist() == [str(local)]
    assert kaggle.seen == []


@pytest.fixture
def no_network(monkeypatch):
    """Every attempt to connect fails, and is noted."""
    attempts = []

    def refuse(*arguments, **_):
        attempts.append(arguments)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return attempts


@pytest.mark.parametrize("environment", ["TEST", "PROD"])
def test_the_cache_needs_no_network(cache, monkeypatch, no_network, environment):
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", environment)
    for name in ("emodb", "ravdess", "cremad", "tess", "savee", "ravdess_song"):
        corpus = corpora.get(name)
        owner, slug, *_ = corpus.kaggle_handle.split("/")
        clip = min(corpus.index())
        path = cache / "datasets" / owner / slug / "versions" / "1" / "wav" / f"{clip}.wav"
        path.parent.mkdir(parents=True)
        path.write_bytes(wav_bytes(0))
        (cache / "datasets" / owner / slug / "1.complete").touch()
        assert corpora.load(name)["path"].tolist() == [str(path)]
    assert no_network == []


def test_no_network_and_no_cache(cache, no_network):
    with pytest.raises(CorpusNotFoundError, match="SER_KIT_DATA"):
        corpora.load("emodb")
    assert no_network


def test_an_incomplete_cache_is_not_used(cache, no_network):
    path = versions(cache) / "1" / "wav" / NAMES[0]
    path.parent.mkdir(parents=True)
    path.write_bytes(wav_bytes(0))
    with pytest.raises(CorpusNotFoundError):
        corpora.load("emodb")
