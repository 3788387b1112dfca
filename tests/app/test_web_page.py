"""The example page: an exported file in a real headless Chromium, by ONNX Runtime Web."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import re
import shutil
import tarfile
import threading
import urllib.request
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_bundles import SMALL, untrained

from ser_kit import recipes
from ser_kit.audio import read_audio
from ser_kit.core.paths import cache_folder, workshop

pytest.importorskip("playwright.sync_api", reason="the browser test needs playwright")
pytest.importorskip("tf2onnx", reason="the extra export is not installed")

from playwright.sync_api import Page, expect, sync_playwright  # noqa: E402

from ser_kit import deploy  # noqa: E402

EXAMPLE = Path(__file__).parents[2] / "examples" / "web"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
VERSION = "1.30.0"
PACKAGE = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
PATIENCE = 120_000  # ms; other tests may keep the machine busy
expect.set_options(timeout=PATIENCE)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="the browser test needs chromium, chromium-browser or google-chrome"),
    pytest.mark.skipif(not EXAMPLE.is_dir(), reason="the examples are not beside an installed package"),
]


@pytest.fixture(scope="module")
def runtime() -> Path:
    """ONNX Runtime Web as its registry has it, kept in the cache folder."""
    folder = cache_folder() / f"onnxruntime-web-{VERSION}"
    if not folder.is_dir():
        try:
            with urllib.request.urlopen(PACKAGE, timeout=60) as answer:
                package = answer.read()
        except OSError as error:
            pytest.skip(f"ONNX Runtime Web cannot be had from npm's registry: {error}")
        assert hashlib.sha512(package).digest() == base64.b64decode(SHA512)
        with workshop(folder.parent, ".onnxruntime-web-") as place, tarfile.open(fileobj=io.BytesIO(package)) as files:
            (place / "dist").mkdir()
            for name in RUNTIME:
                (place / "dist" / name).write_bytes(files.extractfile(f"package/dist/{name}").read())
            (place / "dist").rename(folder)
    return folder


def test_the_page_asks_for_the_version_that_is_tested():
    assert f"npm/onnxruntime-web@{VERSION}/dist/" in (EXAMPLE / "emotion.js").read_text()


@pytest.fixture(scope="module")
def exported(demo_table, tmp_path_factory):
    """The file of a small network."""
    out = tmp_path_factory.mktemp("exported") / "from_scratch.onnx"
    bundle = untrained(recipes.get("from_scratch_single").with_settings(SMALL), limits="For <b>tests</b>.")
    deploy.export(bundle, out, demo_table.iloc[::100])
    return out


@pytest.fixture(scope="module")
def address(runtime, exported, tmp_path_factory):
    """The page with its model and its runtime, served as by ``python -m http.server``."""
    folder = tmp_path_factory.mktemp("site") / "site"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("*.onnx", "ort"))
    shutil.copytree(runtime, folder / "ort")
    shutil.copy(exported, folder / "from_scratch.onnx")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript"}

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(demo_table):
    """With a microphone that hears a clip over and over, and is allowed to be used."""
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={demo_table['path'].iloc[0]}",
    ]  # fmt: skip
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, address):
    """The page on a phone; it asks nobody else for anything, and whatever goes wrong in it fails the test."""
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.set_default_timeout(PATIENCE)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "request", lambda request: None if request.url.startswith((address, "blob:")) else wrong.append(request.url)
    )
    page.goto(f"{address}?ort=./ort/")
    yield page
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.close()
    assert wrong == []


def choose(page: Page, path: Path) -> None:
    expect(page.locator("#choose")).to_be_enabled()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a recording").press("Enter")
    chooser.value.set_files(str(path))


def shown(page: Page) -> dict[str, float]:
    """The probabilities on the page, by their labels."""
    items = page.get_by_role("list", name="Probability of each emotion").get_by_role("listitem")
    return {
        item.locator("span").first.inner_text(): float(item.locator("data").get_attribute("value"))
        for item in items.all()
    }


def test_the_page_answers_as_onnx_runtime_does_in_python(page, exported, demo_table):
    expect(page.get_by_role("status")).to_have_text("Ready: neutral, happy, sad, angry, fear, disgust.")
    run = deploy.runner(exported)
    for path in map(Path, demo_table["path"].iloc[[0, 200]]):
        choose(page, path)
        expect(page.get_by_role("status")).to_contain_text(f"Done: {path.name}")
        told = shown(page)
        expected = run(read_audio(path, sr=16000).samples)
        assert list(told.values()) == sorted(told.values(), reverse=True)
        labels = ("neutral", "happy", "sad", "angry", "fear", "disgust")
        np.testing.assert_allclose([told[label] for label in labels], expected, atol=1e-3)
        best = max(told, key=told.get)
        expect(page.get_by_role("article", name=path.name)).to_contain_text(f"{best}, {100 * told[best]:.1f} %")
    widths = [bar.evaluate("bar => getComputedStyle(bar).backgroundSize") for bar in page.locator(".bar").all()]
    shares = [float(width.split("%")[0]) / 100 for width in widths]
    assert shares == pytest.approx(list(told.values()), abs=1e-4)
    page.wait_for_function("document.querySelector('audio').readyState >= 1")
    expect(page.get_by_text("For <b>tests</b>.")).to_be_visible()


def test_two_channels_at_another_rate_are_heard_too(page, exported, demo_table, tmp_path):
    import soxr

    samples = read_audio(demo_table["path"].iloc[0], sr=16000).samples
    loud = soxr.resample(samples, 16000, 44100)
    soundfile.write(tmp_path / "stereo.flac", np.stack([loud * 0.5, loud * 1.5 / 2], axis=1), 44100)
    choose(page, tmp_path / "stereo.flac")
    expect(page.get_by_role("status")).to_contain_text("Done: stereo.flac")
    expected = deploy.runner(exported)(read_audio(tmp_path / "stereo.flac", sr=16000).samples)
    assert list(shown(page).values()) == pytest.approx(sorted(expected, reverse=True), abs=0.02)  # another resampler


def test_what_cannot_be_used_is_said(page, tmp_path):
    status = page.get_by_role("status")
    expect(status).to_contain_text("Ready")
    (tmp_path / "holiday.wav").write_bytes(b"\x89PNG" + bytes(999))
    soundfile.write(tmp_path / "silence.wav", np.zeros(16000), 16000)
    soundfile.write(tmp_path / "short.wav", np.ones(99), 16000)
    soundfile.write(tmp_path / "long.wav", np.random.default_rng(0).normal(0, 0.1, 10 * 16000), 16000)
    refused = {"holiday": "the browser cannot decode it", "silence": "it is silent", "short": "a tenth of a second"}
    for name, said in refused.items():
        choose(page, tmp_path / f"{name}.wav")
        expect(status).to_contain_text(f"{name}.wav cannot be used")
        expect(status).to_contain_text(said)
        expect(page.get_by_role("article")).to_have_count(0)
    choose(page, tmp_path / "long.wav")
    expect(status).to_contain_text("Only the first 8 seconds were used.")


def test_a_voice_is_recorded_and_answered(page):
    record = page.locator("#record")
    expect(record).to_be_enabled()
    record.press("Enter")
    expect(record).to_have_text("Stop")
    expect(page.get_by_role("status")).to_contain_text(re.compile("Recording 0:0[2-7] of 0:08"))
    record.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Done: your recording")
    assert sum(shown(page).values()) == pytest.approx(1, abs=1e-4)
    expect(record).to_have_text("Record")

    denied = "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('Permission denied'))"
    page.evaluate(f"() => {{ {denied}; }}")
    record.click()
    expect(page.get_by_role("status")).to_have_text("The microphone cannot be used: Permission denied.")


def test_a_page_without_its_model_says_what_to_do(browser, address):
    page = browser.new_page()
    for asked, said in [("?ort=./ort/&model=mine.onnx", "mine.onnx is not beside"), ("?ort=//evil.example/", "ort=")]:
        page.goto(address + asked)
        expect(page.get_by_role("status")).to_contain_text(re.compile(f"cannot be loaded: .*{re.escape(said)}"))
        expect(page.locator("#record")).to_be_disabled()
    page.close()
