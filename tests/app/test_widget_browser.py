"""The widget as people meet it: in JupyterLab, on a desk and as narrow as a phone, in a real headless Chromium.

``SER_KIT_IPYWIDGETS7`` names the Python of an environment with ipywidgets 7, which is then driven too.
"""

from __future__ import annotations

import base64
import csv
import json
import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
import soundfile
from lab import served

pytest.importorskip("playwright.sync_api", reason="the browser test needs playwright")
pytest.importorskip("jupyterlab", reason="the browser test needs jupyterlab")

from playwright.sync_api import Browser, Page, expect, sync_playwright

from ser_kit.app.colab import recording_script
from ser_kit.app.html import SAME_SPEAKER
from ser_kit.audio import read_audio

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE = 120_000
"""ms; a model is loaded while other tests may keep the machine busy."""
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1500, "height": 1000}
OLD = os.environ.get("SER_KIT_IPYWIDGETS7")
HOSTS = {"lab": sys.executable, "phone": sys.executable} | ({"lab 7": OLD} if OLD else {})

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="the browser test needs chromium, chromium-browser or google-chrome"),
]


@pytest.fixture(scope="module")
def browser(demo_table):
    """With a microphone that hears a clip over and over, and is allowed to be used."""
    microphone = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={demo_table['path'].iloc[0]}",
        "--autoplay-policy=no-user-gesture-required",
    ]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *microphone])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module", params=HOSTS)
def host(request, browser, demo_bundle, tmp_path_factory):
    """The widget in JupyterLab, and what went wrong in it; on a phone its panel at the left is closed."""
    folder = tmp_path_factory.mktemp("host")
    cells = [nbformat.v4.new_code_cell("from ser_kit import app\n\napp.show()")]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / "app.ipynb")
    kept = {f"JUPYTER{kind}_DIR": str(folder) for kind in ("_CONFIG", "_DATA", "LAB_SETTINGS", "LAB_WORKSPACES")}
    news = folder / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text('{"fetchNews": "false"}')  # nor a question whether there shall be some
    command = [
        "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", "--IdentityProvider.token=",
        f"--ServerApp.root_dir={folder}", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    with served(command, HOSTS[request.param], SER_KIT_BUNDLE=str(demo_bundle), **kept) as address:
        page, wrong = _opened(browser, address, DESK)
        page.goto(f"{address}lab/tree/app.ipynb")
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()
        expect(page.get_by_role("heading", name="Which emotion does this recording express?")).to_be_visible()
        if request.param == "phone":
            page.keyboard.press("Control+b")
            page.set_viewport_size(PHONE)
        yield page, wrong
        page.close()


def _opened(browser: Browser, address: str, size: dict) -> tuple[Page, list[str]]:
    page = browser.new_page(viewport=size)
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    wrong: list[str] = []
    # Notebooks call MathJax, which comes from a content network.
    page.on("pageerror", lambda error: None if "'Queue'" in str(error) else wrong.append(str(error)))
    # Hosts ask content networks for icon fonts and news; a test asks nobody.
    ours = (address, address.replace("http", "ws"), "blob:", "data:")
    page.route(lambda url: not url.startswith(ours), lambda route: route.fulfill(body=""))
    return page, wrong


@pytest.fixture
def page(host):
    """The page, empty; an error in it fails the test."""
    page, wrong = host
    yield page
    if page.locator(".sk-card").count():
        page.get_by_role("button", name="Clear the page").click()
        expect(page.locator(".sk-card")).to_have_count(0)
    assert wrong == []


@pytest.fixture(scope="module")
def clip(demo_table) -> Path:
    return Path(demo_table["path"].iloc[0])


@pytest.fixture
def broken(tmp_path) -> Path:
    """A picture that says it is a recording."""
    path = tmp_path / "holiday <b>& me.wav"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(2000))
    return path


@pytest.fixture(scope="module")
def talk(clip, tmp_path_factory) -> Path:
    """16 s with a pause, and 12 MB: more than a server takes in one message."""
    speech = read_audio(clip, sr=96_000).samples
    half = np.resize(speech, 6 * 96_000)
    path = tmp_path_factory.mktemp("talk") / "talk.wav"
    samples = np.concatenate([half, np.zeros(4 * 96_000, np.float32), half])
    soundfile.write(path, np.stack([samples, samples], axis=1), 96_000, subtype="FLOAT")
    assert path.stat().st_size > 10 << 20
    return path


@pytest.fixture(scope="module")
def lecture(clip, tmp_path_factory) -> Path:
    """20 minutes."""
    path = tmp_path_factory.mktemp("lecture") / "lecture.wav"
    soundfile.write(path, np.resize(read_audio(clip, sr=16_000).samples, 1200 * 16_000), 16_000)
    return path


def upload(page: Page, *paths) -> None:
    page.get_by_label("Choose recordings").set_input_files([str(path) for path in paths])


def said(page: Page, text: str | re.Pattern) -> None:
    expect(page.locator(".sk-controls [role=status]")).to_have_text(text)


def fits(page: Page) -> bool:
    """Nobody has to scroll sideways."""
    return page.locator(".ser-kit").evaluate(
        "page => page.scrollWidth <= page.clientWidth + 1 && document.documentElement.scrollWidth <= window.innerWidth"
    )


# --------------------------------------------------------------------------------------------------------------- upload


def test_a_recording_is_answered(page, clip):
    # As soon as the button is there: the upload waits for the model.
    upload(page, clip)
    said(page, "Done: 1 recording.")
    card = page.locator(".sk-card")
    expect(card).to_have_count(1)
    expect(card.get_by_role("heading", name=clip.name)).to_be_visible()
    bars = card.locator(".sk-bars li")
    labels = bars.locator(".sk-label").all_inner_texts()
    values = [value.split()[0] for value in bars.locator(".sk-value").all_inner_texts()]
    shares = [int({"<1": "0", ">99": "100"}.get(value, value)) for value in values]
    assert sorted(labels) == sorted(["neutral", "happy", "sad", "angry", "fear", "disgust"])
    assert shares == sorted(shares, reverse=True) and 97 <= sum(shares) <= 103
    verdicts = f"Sounds {labels[0]}", f"Leans towards {labels[0]}", "Not sure"
    assert card.locator(".sk-verdict").inner_text() in verdicts
    tracks = [box["width"] for box in (bars.nth(i).locator(".sk-track").bounding_box() for i in range(len(labels)))]
    fills = [bars.nth(i).locator(".sk-track span").bounding_box()["width"] for i in range(len(labels))]
    for track, fill, share in zip(tracks, fills, shares, strict=True):
        assert fill / track == pytest.approx(share / 100, abs=0.03)
    picture = card.get_by_role("img", name=f"Waveform and mel spectrogram of {clip.name}")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
    page.wait_for_function("document.querySelector('.sk-card audio').readyState >= 1")
    assert card.locator("audio").evaluate("audio => audio.duration") == pytest.approx(
        soundfile.info(clip).duration, abs=0.05
    )
    card.get_by_text("Measures of the voice").click()
    row = card.get_by_role("row", name="Pitch variation")
    expect(row).to_contain_text(re.compile(r"±.*(sd above|sd below|as typical)"))
    expect(card.locator(".sk-traits")).to_contain_text("neutral speech")
    expect(page.get_by_text("Do not use it to decide about people")).not_to_be_visible()
    page.get_by_text("About this model").click()
    expect(page.get_by_text("Do not use it to decide about people")).to_be_visible()
    assert fits(page)


def test_several_are_answered_a_broken_one_among_them_and_saved(page, clip, broken, demo_table):
    others = [Path(path) for path in demo_table["path"].iloc[1:9]]
    upload(page, clip, broken, *others)
    said(page, "Done: 10 recordings, 1 without an answer.")
    expect(page.locator(".sk-card")).to_have_count(10)
    expect(page.locator(".sk-card audio")).to_have_count(9)
    expect(page.locator(".ser-kit").get_by_role("alert")).to_contain_text("is not a sound file")
    expect(page.get_by_role("heading", name=broken.name)).to_be_visible()
    expect(page.get_by_text("Traceback")).to_have_count(0)
    saved = {}
    for link in ("CSV", "JSON"):
        with page.expect_download() as download:
            page.get_by_role("link", name=link, exact=True).click()
        saved[link] = Path(download.value.path()).read_text(encoding="utf-8")
        assert download.value.suggested_filename == f"ser_kit.{link.lower()}"
    names = [clip.name, broken.name, *(other.name for other in others)]
    assert [row["path"] for row in csv.DictReader(saved["CSV"].splitlines())] == names
    assert [answer["path"] for answer in json.loads(saved["JSON"])] == names
    with page.expect_download() as download:
        page.get_by_role("link", name="Save the picture (PNG)").first.click()
    assert download.value.suggested_filename == f"{clip.stem}.png"
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


def test_where_the_script_does_not_load_there_is_a_plain_button(page, clip):
    place = page.locator(".sk-controls")
    plain = page.locator(".sk-plain button")
    expect(plain).not_to_be_visible()
    place.evaluate("one => { one.classList.remove('sk-controls'); }")
    with page.expect_file_chooser() as chooser:
        plain.click()
    chooser.value.set_files(str(clip))
    page.locator(".ser-kit [role=status]").evaluate("one => { one.parentElement.classList.add('sk-controls'); }")
    said(page, "Done: 1 recording.")


def test_the_page_gets_used_to_one_voice_and_forgets_it(page, demo_table):
    speaker = demo_table[demo_table["speaker"] == demo_table["speaker"].iloc[0]]
    clips = [Path(path) for path in speaker.groupby("label")["path"].first()[:3]]
    switch = page.get_by_label("All recordings are of one speaker")
    reset = page.get_by_role("button", name="Forget the voice")
    expect(switch).not_to_be_checked()
    expect(reset).not_to_be_visible()
    switch.check()
    expect(page.get_by_text("Adapting to this voice: 0 of 10 clips.")).to_be_visible()
    upload(page, *clips)
    said(page, "Done: 3 recordings.")
    expect(page.get_by_text("Adapting to this voice: 3 of 10 clips.")).to_be_visible()
    assert fits(page)
    reset.click()
    expect(page.get_by_text("Adapting to this voice: 0 of 10 clips.")).to_be_visible()
    switch.uncheck()
    expect(page.get_by_text("Adapting to this voice")).to_have_count(0)


def test_dropped_files_are_answered(page, clip):
    content = base64.b64encode(clip.read_bytes()).decode()
    dropped = page.evaluate_handle(
        """([content, name]) => {
          const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
          const dropped = new DataTransfer();
          dropped.items.add(new File([bytes], name));
          return dropped;
        }""",
        [content, "dropped.wav"],
    )
    place = page.locator(".sk-controls")
    place.dispatch_event("dragover", {"dataTransfer": dropped})
    expect(place).to_have_class(re.compile("sk-over"))
    place.dispatch_event("drop", {"dataTransfer": dropped})
    said(page, "Done: 1 recording.")
    expect(place).not_to_have_class(re.compile("sk-over"))
    expect(page.locator(".sk-card").get_by_role("heading", name="dropped.wav")).to_be_visible()


# ----------------------------------------------------------------------------------------------------------- microphone


def test_a_voice_is_recorded_and_answered(page):
    button = page.get_by_role("button", name="Record", exact=True)
    expect(button).to_have_attribute("aria-pressed", "false")
    button.press("Enter")  # by keyboard
    expect(page.get_by_text("Recording 0:02")).to_be_visible()
    stop = page.get_by_role("button", name="Stop", exact=True)
    expect(stop).to_have_attribute("aria-pressed", "true")
    stop.click()
    said(page, "Done: 1 recording.")
    card = page.locator(".sk-card")
    expect(card.get_by_role("heading", name=re.compile(r"recording at \d\d\.\d\d\.\d\d\.wav"))).to_be_visible()
    card.get_by_text("Measures of the voice").click()
    expect(card.get_by_role("row", name="Pitch variation")).to_contain_text("±")
    page.wait_for_function("document.querySelector('.sk-card audio').readyState >= 1")
    assert 1.5 < card.locator("audio").evaluate("audio => audio.duration") < 10
    expect(page.get_by_role("button", name="Record", exact=True)).to_be_visible()


def test_without_leave_for_the_microphone_the_page_says_so(page):
    page.evaluate(
        """() => {
          const devices = navigator.mediaDevices, ask = devices.getUserMedia;
          devices.getUserMedia = () => {
            devices.getUserMedia = ask;
            return Promise.reject(new DOMException("Permission denied"));
          };
        }"""
    )
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.get_by_text("The microphone cannot be used: Permission denied")).to_be_visible()


def test_colab_s_recording_gives_a_wav_file(browser, tmp_path):
    page = browser.new_page()
    page.goto("chrome://version")  # a page that is served from the same machine, so that there is a microphone
    page.evaluate(f"() => {{ window.recording = {recording_script()}; }}")
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_text("Recording 0:01")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    content = base64.b64decode(page.evaluate("window.recording"))
    page.close()
    recording = read_audio(content)
    assert recording.native_rate == 16000 and 0.5 < recording.duration < 10 and np.abs(recording.samples).max() > 0.01


# ----------------------------------------------------------------------------------------------------- long recordings


def test_the_emotion_over_time_moves_with_the_player(page, talk):
    upload(page, talk)
    said(page, "Done: 1 recording.")
    card = page.locator(".sk-card")
    stages, ribbon = card.locator(".sk-stage"), card.locator(".sk-ribbon")
    assert stages.count() == 2
    picture_box, ribbon_box = stages.first.bounding_box(), ribbon.bounding_box()
    assert ribbon_box["x"] == pytest.approx(picture_box["x"], abs=1.5)
    assert ribbon_box["width"] == pytest.approx(picture_box["width"], abs=1.5)
    assert 0 <= ribbon_box["y"] - picture_box["y"] - picture_box["height"] < 40  # directly below

    # A place in the picture is a time; in the pause nobody speaks.
    moments = json.loads(stages.nth(1).get_attribute("data-moments"))
    for stage, seconds in ((stages.first, 3.5), (stages.nth(1), 14.5), (stages.first, 8.3)):
        box = stage.bounding_box()
        stage.click(position={"x": box["width"] * seconds / 16, "y": box["height"] / 2})
        page.wait_for_function(
            "at => Math.abs(document.querySelector('.sk-card audio').currentTime - at) < 0.1", arg=seconds
        )
        line = card.locator(".sk-playhead").first
        expect(line).to_be_visible()
        page.wait_for_function(  # the line follows the player, a moment later
            "x => Math.abs(document.querySelector('.sk-playhead').getBoundingClientRect().x - x) <= 4",
            arg=box["x"] + box["width"] * seconds / 16,
        )
        there = [f"{emotion}, {share} %" for start, end, emotion, share in moments if start <= seconds < end]
        expect(card.locator(".sk-now")).to_have_text(f"0:{int(seconds):02d} {there[0] if there else 'no speech'}")
    assert not there

    player = card.locator("audio")
    player.evaluate("audio => audio.play()")
    before = card.locator(".sk-playhead").first.bounding_box()["x"]
    page.wait_for_function("x => document.querySelector('.sk-playhead').getBoundingClientRect().x > x + 5", arg=before)
    player.evaluate("audio => audio.pause()")
    assert fits(page)


def test_a_long_run_is_cancelled(page, clip, lecture):
    upload(page, clip, lecture, clip, clip)
    said(page, re.compile("Working… 2 of 4"))
    page.wait_for_function("document.querySelectorAll('.sk-card audio').length === 2")  # it can be heard already
    progress = page.get_by_role("progressbar", name="Progress", exact=True)
    expect(progress).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    said(page, re.compile(r"Cancelled: \d of 4 recordings have an answer"))
    expect(page.get_by_role("button", name="Cancel")).not_to_be_visible()
    expect(progress).to_have_count(0)
    expect(page.get_by_role("heading", name=clip.name)).to_have_count(1)
    upload(page, clip)
    said(page, "Done: 1 recording.")


def test_an_upload_is_cancelled(page, tmp_path):
    large = tmp_path / "large.wav"
    with large.open("wb") as file:
        file.truncate(300_000_000)
    upload(page, large)
    expect(page.get_by_text(re.compile("Uploading large.wav: .* of 300.0 MB"))).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    said(page, "Cancelled: 0 of 1 recordings have an answer.")
    expect(page.locator(".sk-card")).to_have_count(0)


# ------------------------------------------------------------------------------------------------------ for everyone


def test_two_recordings_stand_side_by_side_where_there_is_room(page, demo_table):
    first, second, third = (Path(path) for path in demo_table["path"].iloc[:3])
    upload(page, first, second, third)
    said(page, "Done: 3 recordings.")
    size = page.viewport_size
    page.get_by_label("Compare").select_option(f"1. {first.name}")
    page.get_by_label("with", exact=True).select_option(f"3. {third.name}")
    cards = page.locator(".sk-card")
    expect(cards).to_have_count(2)
    names = [cards.nth(i).get_by_role("heading").first.inner_text() for i in range(2)]
    assert names == [first.name, third.name]
    page.set_viewport_size(DESK)
    left, right = (cards.nth(i).bounding_box() for i in range(2))
    assert left["y"] == pytest.approx(right["y"], abs=2) and left["x"] + left["width"] <= right["x"]
    page.set_viewport_size(size)
    if size == PHONE:
        above, below = (cards.nth(i).bounding_box() for i in range(2))
        assert above["x"] == below["x"] and above["y"] + above["height"] <= below["y"]
    page.get_by_label("Compare").select_option("–")
    expect(cards).to_have_count(3)


def test_it_can_be_used_by_keyboard_and_read_aloud(page, clip, talk, broken):
    upload(page, clip, talk, broken)
    said(page, "Done: 3 recordings, 1 without an answer.")
    expect(page.get_by_role("link", name="Save the picture (PNG)")).to_have_count(2)
    tree = page.locator(".ser-kit").aria_snapshot()
    named = r"^\s*- (button|link|combobox|img|region|progressbar|table|heading)(?! \")"
    assert not re.findall(named, tree.replace("- table:", "- rows:"), flags=re.MULTILINE), tree
    assert re.search(r'img "Emotion over time: 0:00 to', tree)

    page.get_by_label("Choose recordings").focus()
    reached = []
    while len(reached) < 40 and (not reached or reached[-1][0] != "About this model"):
        focused = page.evaluate(
            """() => {
              const one = document.activeElement, label = one.closest("label");
              const seen = getComputedStyle(label ?? one);
              return [(label ?? one).innerText.trim() || one.tagName, seen.outlineStyle !== "none"];
            }"""
        )
        reached.append(focused)
        page.keyboard.press("Tab")
    texts = [text for text, _ in reached]
    assert texts[:3] == ["Choose recordings", "Record", SAME_SPEAKER]
    assert all(broken.name not in text and talk.name in text for text in texts[3:5]), "the two to compare"
    assert texts[-4:] == ["CSV", "JSON", "Clear the page", "About this model"] and "AUDIO" in texts[5:-4]
    # The player's own buttons are marked inside of it, by the browser.
    assert [text for text, visible in reached if not visible and text != "AUDIO"] == []


def test_text_stands_out_in_both_themes(page, clip, talk, broken):
    upload(page, talk, broken)
    said(page, "Done: 2 recordings, 1 without an answer.")
    before = page.evaluate("document.body.dataset.jpThemeLight")
    found = {}
    for light in ("true", "false", before):
        page.evaluate("light => { document.body.dataset.jpThemeLight = light; }", light)
        ground = page.locator(".ser-kit").evaluate("page => getComputedStyle(page).backgroundColor")
        found[light] = page.evaluate(_CONTRAST), max(map(int, re.findall(r"\d+", ground))) > 128
    assert (found["true"], found["false"]) == (([], True), ([], False))


_CONTRAST = """() => {
  const light = (colour) => {
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255);
    const [r, g, b] = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (colour !== "transparent" && !/, 0\\)$/.test(colour)) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const faint = [];
  for (const element of document.querySelectorAll(".ser-kit *")) {
    const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!text || !element.checkVisibility() || element.closest("style, .sk-unseen, .sk-scales")) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.push(`${element.textContent.trim().slice(0, 30)}: ${ratio.toFixed(1)}`);
  }
  return faint;
}"""
