"""The upload widget as people meet it: served by Voila, driven in a real headless Chromium."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from importlib.resources import files as package_files
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="the browser test needs playwright")
pytest.importorskip("voila", reason="the browser test needs voila")

from playwright.sync_api import Page, expect, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE = 120_000
"""ms; a model is loaded while other tests may keep the machine busy."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="the browser test needs chromium, chromium-browser or google-chrome"),
]


@pytest.fixture(scope="module")
def address(demo_bundle, tmp_path_factory):
    """Voila with the app, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("voila") / "log.txt"
    app = str(package_files("ser_kit") / "app.ipynb")
    command = [sys.executable, "-m", "voila", app, "--no-browser", "--Voila.ip=127.0.0.1", f"--port={port}"]
    environment = os.environ | {"SER_KIT_BUNDLE": str(demo_bundle)}
    with log.open("w") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as server:
        try:
            deadline = time.monotonic() + PATIENCE / 1000
            while not _listens(port):
                if server.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"Voila did not start:\n{log.read_text()}")
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def browser(demo_table):
    """With a microphone that hears a clip over and over, and is allowed to be used."""
    microphone = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={demo_table['path'].iloc[0]}",
    ]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *microphone])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, address):
    """The app's page; whatever went wrong in it fails the test."""
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.set_default_timeout(PATIENCE)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    # Voila's page asks a content network for an icon font; a test asks nobody.
    page.route(lambda url: not url.startswith((address, "blob:", "data:")), lambda route: route.fulfill(body=""))
    page.goto(address)
    yield page
    page.close()
    assert wrong == []


@pytest.fixture
def picture(tmp_path) -> Path:
    path = tmp_path / "holiday <b>& me.wav"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(2000))
    return path


def upload(page: Page, *paths) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose recordings").click()
    chooser.value.set_files([str(path) for path in paths])


def test_recordings_are_uploaded_and_answered(page, demo_table, picture):
    clip = Path(demo_table["path"].iloc[0])
    expect(page.get_by_role("heading", name="Which emotion does this recording carry?")).to_be_visible(timeout=PATIENCE)

    # One recording, as soon as the button is there: the upload waits for the model.
    upload(page, clip)
    expect(page.get_by_role("status")).to_have_text("Done: 1 recording.", timeout=PATIENCE)
    panel = page.locator(".sk-card")
    expect(panel).to_have_count(1)
    expect(panel.get_by_role("heading", name=clip.name)).to_be_visible()
    verdict = panel.locator(".sk-verdict").inner_text()
    bars = panel.locator(".sk-bars li")
    labels = bars.locator(".sk-label").all_inner_texts()
    shares = [int(value.split()[0]) for value in bars.locator(".sk-value").all_inner_texts()]
    assert sorted(labels) == sorted(["neutral", "happy", "sad", "angry", "fear", "disgust"])
    assert shares == sorted(shares, reverse=True) and 97 <= sum(shares) <= 103
    assert verdict in (labels[0], "Not sure")
    expect(panel).to_contain_text(f"{shares[0]} %")
    tracks = [box["width"] for box in (bars.nth(i).locator(".sk-track").bounding_box() for i in range(len(labels)))]
    fills = [bars.nth(i).locator(".sk-track span").bounding_box()["width"] for i in range(len(labels))]
    for track, fill, share in zip(tracks, fills, shares, strict=True):
        assert fill / track == pytest.approx(share / 100, abs=0.03)
    picture_shown = panel.get_by_role("img", name=f"Waveform and mel spectrogram of {clip.name}")
    expect(picture_shown).to_be_visible()
    assert picture_shown.evaluate("image => image.decode().then(() => image.naturalWidth)") > 600
    player = panel.locator("audio")
    expect(player).to_have_count(1)
    page.wait_for_function("document.querySelector('.sk-card audio').readyState >= 1")
    assert player.evaluate("audio => audio.duration") == pytest.approx(_seconds(clip), abs=0.05)
    expect(panel.get_by_role("row", name="Pitch variation")).to_contain_text(
        re.compile(r"±.*(sd above|sd below|as typical)")
    )
    expect(page.get_by_text("Do not use it to decide about people")).to_be_visible()
    # A phone needs no scrolling sideways.
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    # A picture that says it is a recording.
    upload(page, picture)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("is not a sound file", timeout=PATIENCE)
    expect(page.get_by_role("heading", name=picture.name)).to_be_visible()
    expect(page.locator(".sk-card")).to_have_count(1)
    expect(page.locator(".sk-card audio")).to_have_count(0)
    expect(page.get_by_text("Traceback")).to_have_count(0)

    # Several at once, the broken one among them.
    upload(page, clip, picture, demo_table["path"].iloc[1])
    expect(page.get_by_role("status")).to_have_text("Done: 3 recordings, 1 without an answer.", timeout=PATIENCE)
    expect(page.locator(".sk-card")).to_have_count(3)
    expect(page.locator(".sk-card audio")).to_have_count(2)
    expect(alert).to_have_count(1)


def test_a_voice_is_recorded_and_answered(page):
    pytest.importorskip("anywidget", reason="recording needs anywidget")
    button = page.get_by_role("button", name="Record", exact=True)
    expect(button).to_be_visible(timeout=PATIENCE)
    expect(button).to_have_attribute("aria-pressed", "false")
    button.press("Enter")  # by keyboard
    expect(page.get_by_text("Recording 0:02")).to_be_visible()
    stop = page.get_by_role("button", name="Stop")
    expect(stop).to_have_attribute("aria-pressed", "true")
    stop.click()
    expect(page.get_by_role("status")).to_have_text("Done: 1 recording.", timeout=PATIENCE)
    panel = page.locator(".sk-card")
    expect(panel.get_by_role("heading", name=re.compile(r"recording at \d\d\.\d\d\.\d\d\.wav"))).to_be_visible()
    expect(panel.get_by_role("row", name="Pitch variation")).to_contain_text("±")
    page.wait_for_function("document.querySelector('.sk-card audio').readyState >= 1")
    assert 1.5 < panel.locator("audio").evaluate("audio => audio.duration") < 10
    expect(page.get_by_role("button", name="Record", exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_without_leave_for_the_microphone_the_page_says_so(page):
    pytest.importorskip("anywidget", reason="recording needs anywidget")
    expect(page.get_by_role("button", name="Record", exact=True)).to_be_visible(timeout=PATIENCE)
    denied = "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('Permission denied'))"
    page.evaluate(f"() => {{ {denied}; }}")
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.get_by_text("The microphone cannot be used: Permission denied")).to_be_visible()


def _seconds(path: Path) -> float:
    import soundfile

    return soundfile.info(path).duration
