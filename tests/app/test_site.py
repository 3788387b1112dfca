"""The page without a server: what is written, and its answers in a real headless Chromium."""

from __future__ import annotations

import base64
import csv
import dataclasses
import hashlib
import io
import json
import re
import shutil
import signal
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from commands import process

from ser_kit import Predictor, errors
from ser_kit.app import check_graph, site
from ser_kit.audio import read_audio
from ser_kit.bundles import Bundle, preset_path
from ser_kit.cli import main
from ser_kit.inference import explain, speech_check

PRESET = "cross_corpus_small"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 120_000  # ms; other tests may keep the machine busy
SIZES = ({"width": 390, "height": 844}, {"width": 820, "height": 1180}, {"width": 1280, "height": 800})


# ------------------------------------------------------------------------------------------------- what is written


@pytest.fixture
def stand_in(tmp_path):
    """A folder with files of the names of ONNX Runtime Web's."""
    for file in site.RUNTIME.values():
        (tmp_path / "dist" / file).parent.mkdir(exist_ok=True)
        (tmp_path / "dist" / file).write_text(f"{file}, made for a test")
    return tmp_path


def test_the_page_is_written_whole(stand_in, tmp_path):
    for _ in range(2):  # it is replaced
        place = site.write_site(PRESET, tmp_path / "site", runtime=stand_in)
    assert {each.name for each in place.iterdir()} == site.OWN
    config = json.loads(re.search(r'id="config">(.*?)</script>', (place / "index.html").read_text())[1])
    assert config["labels"] == list(Bundle.load(preset_path(PRESET)).labels)
    for file in config["files"].values():
        digest = hashlib.sha384((place / file["address"]).read_bytes()).digest()
        assert file["integrity"] == f"sha384-{base64.b64encode(digest).decode()}"
    for example in config["examples"]:
        assert 0.1 < np.abs(read_audio(place / example["address"]).samples).max() < 1


def test_without_the_runtime_the_page_asks_a_content_network_and_only_it(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "runtime_files", lambda folder: pytest.fail("nothing is fetched"))
    page = (site.write_site(PRESET, tmp_path / "site", cdn=True) / "index.html").read_text()
    assert not (tmp_path / "site" / "runtime").exists()
    assert set(re.findall(r"https://[^/]*/", page.partition("<details")[0])) == {"https://cdn.jsdelivr.net/"}
    for key, file in site.RUNTIME.items():
        assert f'"{site.CDN}{file}", "integrity": "{site.DIGESTS[key]}"' in page


def test_the_command_writes_a_page_or_says_what_is_missing(stand_in, tmp_path, capsys):
    out = tmp_path / "site"
    assert main(["export", PRESET, "--format", "web", "--out", str(out), "--runtime", str(stand_in), "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert files == {str(file.relative_to(out)): file.stat().st_size for file in out.rglob("*") if file.is_file()}
    for command, said in (
        (("--format", "web", "--quantize", "int8"), "--prune and --quantize cannot be used with --format web"),
        (("--cdn",), "--runtime and --cdn need --format web"),
        (("--format", "web", "--runtime", str(tmp_path / "none")), "does not hold"),
    ):
        assert main(["export", PRESET, *command]) == 2
        assert said in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_serves_a_page_until_it_is_interrupted(stand_in):
    started = process("app", PRESET, "--port", "0", "--no-browser", "--runtime", stand_in)
    address = started.stdout.readline().strip()
    with urllib.request.urlopen(address) as answer:
        assert b"ser_kit" in answer.read()
    started.send_signal(signal.SIGINT)
    assert started.wait(60) == 0


def test_the_digests_are_those_of_the_package(runtime):
    for key, content in runtime.items():
        digest = base64.b64encode(hashlib.sha384(content).digest()).decode()
        assert site.DIGESTS[key] == f"sha384-{digest}"


def test_what_cannot_be_written_is_said(stand_in, tmp_path, monkeypatch):
    bundle = Bundle.load(preset_path(PRESET))
    for changed, said in (
        ({"runtime": None}, "has no model.onnx, which a page needs: ser-kit export --format bundle adds it"),
        ({"card": bundle.card | {"strange_above": 3.0}}, "needs features of Praat"),
    ):
        monkeypatch.setattr(Bundle, "load", lambda folder, changed=changed: dataclasses.replace(bundle, **changed))
        with pytest.raises(errors.ExportError, match=said):
            site.write_site(PRESET, tmp_path / "site", runtime=stand_in)
    monkeypatch.undo()
    stand_in.joinpath("dist", site.RUNTIME["script"]).rename(tmp_path / "elsewhere")
    with pytest.raises(errors.ExportError, match=re.escape(f"{tmp_path} does not hold {site.RUNTIME['script']}")):
        site.write_site(PRESET, tmp_path / "site", runtime=tmp_path)
    (tmp_path / "elsewhere").rename(stand_in / "dist" / site.RUNTIME["script"])
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "letter.txt").touch()
    with pytest.raises(errors.ExportError, match=r"holds letter\.txt; choose a new folder"):
        site.write_site(PRESET, tmp_path / "letters", runtime=stand_in)
    monkeypatch.setattr(site, "PACKAGE", "http://127.0.0.1:9/onnxruntime-web.tgz")
    monkeypatch.setenv("SER_KIT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(errors.ExportError, match=r"cannot be fetched.*--runtime.*npm pack.*--cdn"):
        site.write_site(PRESET, tmp_path / "site")
    assert not (tmp_path / "site").exists()


# ------------------------------------------------------------------------------------------ the check for speech


@pytest.fixture(scope="module")
def check():
    ort = pytest.importorskip("onnxruntime")
    return ort.InferenceSession(check_graph.FILE.read_bytes())


def test_the_check_is_that_of_python(check, some_clips):
    clips = [read_audio(path, sr=speech_check.RATE).samples for path in some_clips["path"]]
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, 32_000).astype(np.float32)
    tone = (0.3 * np.sin(np.arange(32_000) / 10)).astype(np.float32)
    for samples in [*clips, noise, tone, clips[0][: speech_check.RATE // 10]]:
        expected = speech_check.measure(samples)
        measures, pitch = check.run(["measures", "pitch"], {"samples": samples[None]})
        found = speech_check.Evidence(*measures.tolist(), pitch)
        for name, least in (("voiced", 1e-6), ("crossings", 1e-2), ("movement", 1e-3), ("slope", 1e-2)):
            assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=least), name
        np.testing.assert_allclose(pitch, expected.pitch, atol=0.1)
        assert speech_check.against([found]) == speech_check.against([expected])


@pytest.mark.slow
def test_the_file_of_the_check_is_what_the_code_makes(check, demo_few):
    pytest.importorskip("tf2onnx", reason="the extra export is not installed")
    import onnxruntime

    made = onnxruntime.InferenceSession(check_graph.content())
    samples = read_audio(demo_few["path"].iloc[0], sr=speech_check.RATE).samples[None]
    for one, other in zip(*(session.run(None, {"samples": samples}) for session in (made, check)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


# -------------------------------------------------------------------------------------------------- in the browser


@pytest.fixture(scope="module")
def runtime():
    """ONNX Runtime Web from the cache or the npm registry."""
    try:
        return site.runtime_files()
    except errors.ExportError as error:
        pytest.skip(f"needs ONNX Runtime Web: {error}")


@pytest.fixture(scope="module")
def address(runtime, tmp_path_factory):
    """The page, served as by ``python -m http.server``."""
    folder = site.write_site(PRESET, tmp_path_factory.mktemp("site") / "site")
    with site.served(folder) as address:
        yield address


@pytest.fixture(scope="module")
def browser(demo_table):
    """With a microphone that hears a clip over and over, and is allowed to be used."""
    if CHROMIUM is None:
        pytest.skip("the browser test needs chromium, chromium-browser or google-chrome")
    sync_api = pytest.importorskip("playwright.sync_api", reason="the browser test needs playwright")
    sync_api.expect.set_options(timeout=PATIENCE)
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={demo_table['path'].iloc[0]}",
        "--autoplay-policy=no-user-gesture-required",
    ]  # fmt: skip
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def tab(browser, address):
    """The page in a tab; it asks nobody else for anything, and whatever goes wrong in it fails the tests."""
    page = browser.new_page(viewport=SIZES[0])
    page.set_default_timeout(PATIENCE)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    asked_of = (address, "blob:", "data:")
    page.on("request", lambda request: None if request.url.startswith(asked_of) else wrong.append(request.url))
    page.goto(address)
    page.get_by_text("Ready.").wait_for()
    yield page, wrong
    page.close()


@pytest.fixture
def page(tab):
    """The page without any answers."""
    page, wrong = tab
    yield page
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.set_viewport_size(SIZES[0])
    if page.locator("#clear").is_visible():
        page.locator("#clear").click()
    assert wrong == []


def upload(page, *paths, said="Done"):
    page.locator("#files").set_input_files([str(path) for path in paths])
    page.wait_for_function("said => document.getElementById('status').textContent.startsWith(said)", arg=said)


def shown(page, place=0):
    """The probabilities on a card, by their labels."""
    items = page.locator("#answers .sk-card").nth(place).locator(".sk-bars li")
    return {
        item.locator(".sk-label").text_content(): float(item.locator("data").get_attribute("value"))
        for item in items.all()
    }


def assert_as_python(page, predictor, path):
    """The newest card on the page says of a recording what Python says."""
    expected, card = predictor.predict(path), page.locator("#answers .sk-card").first
    assert shown(page) == pytest.approx(expected.probabilities, abs=1e-3)
    named = "" if expected.verdict == "not sure" else f" {expected.emotion}"
    assert card.locator(".sk-verdict").text_content() == f"{expected.verdict}{named}".capitalize()
    if expected.reason:  # 33.499 and 33.501 are 33 and 34
        words, said = (re.sub(r"\d+", "#", text.lower()) for text in (f"{expected.reason}.", card.text_content()))
        assert words in said
    assert f"{expected.duration:.2f} s" in card.text_content()


@pytest.fixture(scope="module")
def small():
    return Predictor.from_preset(PRESET)


def recordings(some_clips, folder):
    """Twenty recordings: 8 to 48 kHz, one channel and two, in each of the formats that browsers decode."""
    forms = [
        ("wav", "PCM_16"),
        ("wav", "PCM_24"),
        ("wav", "FLOAT"),
        ("wav", "PCM_U8"),
        ("flac", "PCM_16"),
        ("mp3", None),
        ("ogg", None),
    ]
    rates = (8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
    for place, path in enumerate(some_clips["path"].iloc[:20]):
        clip, (form, subtype), rate = read_audio(path), forms[place % len(forms)], rates[place % len(rates)]
        samples = np.clip(soxr.resample(clip.samples, clip.rate, rate), -1, 1)
        if place % 3 == 0:
            samples = np.stack([samples, 0.6 * np.roll(samples, 5)], axis=1)
        soundfile.write(folder / f"{place}.{form}", samples, rate, subtype)
        yield folder / f"{place}.{form}"


@pytest.mark.browser
@pytest.mark.slow
def test_its_answers_are_those_of_python(page, small, some_clips, tmp_path):
    for path in recordings(some_clips, tmp_path):
        upload(page, path, said=f"Done: {path.name}")
        assert_as_python(page, small, path)


@pytest.mark.browser
@pytest.mark.slow
def test_a_long_recording_is_answered_in_windows(page, small, some_clips, tmp_path):
    clips = [read_audio(path, sr=22_050).samples for path in some_clips["path"].iloc[:8]]
    noise = np.random.default_rng(0).normal(0, 0.1, 9 * 22_050)
    soundfile.write(tmp_path / "long.wav", np.concatenate([*clips, noise, np.zeros(9 * 22_050)]), 22_050)
    upload(page, tmp_path / "long.wav")
    assert_as_python(page, small, tmp_path / "long.wav")
    card = page.locator("#answers .sk-card").first
    moments = json.loads(card.locator("[data-moments]").get_attribute("data-moments"))
    expected = small.predict(tmp_path / "long.wav")
    speech = [segment for segment in expected.segments if not segment.reason]
    assert [start for start, *_ in moments] == pytest.approx([segment.start for segment in speech], abs=1e-3)
    assert moments[-1][1] < expected.duration - 12  # neither noise nor silence has a colour
    stage, player = card.locator(".sk-stage").first, card.locator("audio")
    player.evaluate("audio => new Promise((done) => { audio.onloadedmetadata = done; audio.load(); })")
    box = stage.bounding_box()
    stage.click(position={"x": box["width"] / 4, "y": 5})
    page.wait_for_function(
        "at => Math.abs(document.querySelector('#answers audio').currentTime - at) < 0.5", arg=expected.duration / 4
    )


@pytest.mark.browser
@pytest.mark.slow
def test_what_is_no_speech_or_no_recording_is_said(page, tmp_path):
    time = np.arange(32_000) / 16_000
    soundfile.write(tmp_path / "tone.wav", 0.3 * np.sin(2 * np.pi * 440 * time), 16_000)
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    soundfile.write(tmp_path / "short.wav", np.ones(99), 16_000)
    soundfile.write(tmp_path / "nan.wav", np.full(16_000, np.nan), 16_000, "FLOAT")
    (tmp_path / "=1+1.wav").write_bytes(b"RIFF1234WAVE")
    (tmp_path / "empty.mp3").touch()
    (tmp_path / "letter.txt").write_text("hello")
    upload(page, tmp_path / "tone.wav")
    card = page.locator("#answers .sk-card").first
    assert "It does not sound like speech" in card.text_content()
    assert card.locator(".sk-bars, .sk-emotion, .sk-traits").count() == 0
    errors_of = {
        "silent.wav": "is silent", "short.wav": "lasts 0.006 s; expected 0.1 s or more", "nan.wav": "not finite",
        "=1+1.wav": "not a recording that this browser can decode", "empty.mp3": "is empty",
        "letter.txt": "is not a recording",
    }  # fmt: skip
    for name in errors_of:
        upload(page, tmp_path / name, said="Done: 1 recording, 1 without")
        assert errors_of[name] in page.locator("#answers .sk-card").first.locator("[role=alert]").text_content()
        page.evaluate("document.getElementById('status').textContent = ''")


@pytest.mark.browser
@pytest.mark.slow
def test_many_recordings_have_an_overview_and_one_table(page, small, some_clips, tmp_path):
    paths = [
        shutil.copy(path, tmp_path / f"{letter}.wav") for letter, path in zip("bca", some_clips["path"], strict=False)
    ]
    (tmp_path / "=bad.wav").touch()
    upload(page, *paths, tmp_path / "=bad.wav", said="Done: 4 recordings, 1 without an answer.")
    assert page.locator("#answers .sk-card[open]").count() == 0
    rows = page.locator("#overview tbody tr")
    page.get_by_role("button", name="Recording", exact=True).press("Enter")
    names = rows.locator("th").all_text_contents()
    assert names == sorted(names) and len(names) == 4
    page.keyboard.press("Enter")
    assert rows.locator("th").all_text_contents() == names[::-1]
    assert page.locator("th[aria-sort=descending]").text_content() == "Recording"
    rows.first.get_by_role("button", name="c.wav", exact=True).press("Enter")
    assert page.locator("#answers .sk-card[open] h2").text_content() == "c.wav"
    with page.expect_download() as download:
        page.locator("#csv").click()
    table = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    answers = {row["path"]: row for row in table}
    assert answers["'=bad.wav"]["error"].startswith("'=bad.wav is empty")
    for path in map(Path, paths):
        expected, row = small.predict(path), answers[path.name]
        assert (row["emotion"], row["verdict"], row["reason"]) == (expected.emotion, expected.verdict, expected.reason)
        assert [float(row[f"p_{label}"]) for label in small.labels] == pytest.approx(
            list(expected.probabilities.values()), abs=1e-3
        )
    page.set_viewport_size(SIZES[0])
    rows.first.locator("td").nth(0).evaluate("cell => cell.textContent = 'surprised'")
    rows.first.locator("td").nth(1).evaluate("cell => cell.textContent = 'leans towards, 58\\u00a0%'")
    assert page.locator("#overview .sk-scroll").evaluate("box => box.scrollWidth <= box.clientWidth"), "all on a phone"


@pytest.mark.browser
@pytest.mark.slow
def test_pictures_span_the_card_and_long_ones_are_widened(page, some_clips, tmp_path):
    upload(page, some_clips["path"].iloc[0])
    card = page.locator("#answers .sk-card").first
    widths = [card.locator(what).bounding_box()["width"] for what in (".sk-wave", "audio", ".sk-times")]
    assert widths == pytest.approx([widths[0]] * 3) and card.get_by_role("button", name="Zoom in").count() == 0
    clips = [read_audio(path).samples for path in some_clips["path"].iloc[:16]]
    soundfile.write(tmp_path / "long.wav", np.concatenate([*clips, *clips]), 16_000)
    upload(page, tmp_path / "long.wav", said="Done: long.wav")
    card = page.locator("#answers .sk-card").first
    nearer, farther = (card.get_by_role("button", name=f"Zoom {how}") for how in ("in", "out"))
    assert farther.is_disabled()
    nearer.press("Enter")
    nearer.press("Enter")
    for what in (".sk-wave", ".sk-ribbon", ".sk-times"):
        assert card.locator(what).first.bounding_box()["width"] == pytest.approx(4 * widths[0], rel=0.01)
    region = card.get_by_role("region", name="Waveform and emotion over time")
    middle = region.evaluate("box => (box.scrollLeft + box.clientWidth / 2) / box.scrollWidth")
    assert middle == pytest.approx(0.5, abs=0.02)  # what was in the middle stays there
    farther.press("Enter")
    farther.press("Enter")
    assert farther.is_disabled() and nearer.is_enabled()


@pytest.mark.browser
@pytest.mark.slow
def test_two_recordings_are_compared(page, small, some_clips, tmp_path):
    first, second, third = (shutil.copy(some_clips["path"].iloc[i], tmp_path / f"{i}.wav") for i in (0, 4, 8))
    upload(page, first, second, third, said="Done: 3 recordings")
    page.get_by_text("Compare two").click()
    pair = [page.get_by_label(f"{place} recording") for place in ("First", "Second")]
    assert [one.locator("option:checked").text_content() for one in pair] == ["4.wav", "8.wav"]
    pair[0].select_option("0.wav")
    rows = page.locator(".sk-compare tbody tr")
    found = {row.locator("th").text_content(): row.locator("td").all_text_contents() for row in rows.all()}
    before, after = small.predict(first), small.predict(third)
    for label in small.labels:
        shares = [round(100 * each.probabilities[label]) for each in (before, after)]
        values = [float(text.split()[0].replace("−", "-")) for text in found[label]]
        assert values[:2] == pytest.approx(shares, abs=1) and values[2] == values[1] - values[0]
    sides = page.locator(".sk-side .sk-wave")
    lengths = [box.bounding_box()["width"] for box in sides.all()]
    assert lengths[0] / lengths[1] == pytest.approx(before.duration / after.duration, rel=0.01)
    said = " ".join(page.locator(".sk-compare .sk-traits").all_text_contents())
    grown = [label for label in small.labels if after.probabilities[label] - before.probabilities[label] > 0.11]
    assert all(label in said for label in grown) and "8.wav" in said
    pair[1].select_option("0.wav")
    assert "Choose two different recordings." in page.locator(".sk-compare").text_content()


@pytest.mark.browser
@pytest.mark.slow
def test_what_an_answer_rests_on_is_that_of_python(page, small, some_clips):
    path = some_clips["path"].iloc[0]
    upload(page, path)
    page.get_by_text("What the answer rests on").click()
    page.get_by_role("button", name="Compute").press("Enter")
    page.wait_for_function("() => document.getElementById('status').textContent.startsWith('Done: explained')")
    expected = explain(small, path)
    values = [text.split()[0].replace("−", "-") for text in page.locator(".sk-bands .sk-value").all_text_contents()]
    assert list(map(float, values)) == pytest.approx([100 * band.effect for band in expected.bands], abs=0.6)
    assert page.locator(".sk-why .sk-ribbon span").count() == len(expected.stretches)
    assert "less probable" in page.locator(".sk-why .sk-traits").text_content()


@pytest.mark.browser
@pytest.mark.slow
def test_a_ribbon_grows_while_somebody_speaks(page):
    page.get_by_role("button", name="Record", exact=True).press("Enter")
    page.wait_for_function("() => document.querySelectorAll('.sk-live span').length >= 2")
    assert "The last 3 seconds: " in page.locator("#live").text_content()
    page.get_by_role("button", name="Stop").press("Enter")
    page.wait_for_function("() => document.getElementById('status').textContent.startsWith('Done: recording at')")
    assert page.locator("#live").is_hidden() and page.locator("#answers .sk-card").count() == 1


@pytest.mark.browser
@pytest.mark.slow
def test_a_voice_is_recorded_and_an_example_answered(page):
    record = page.get_by_role("button", name="Record", exact=True)
    record.press("Enter")
    page.wait_for_function("() => document.querySelector('.sk-level').value > 0.2")
    page.wait_for_function("() => document.querySelector('.sk-recorder').textContent.includes('Recording 0:02')")
    page.get_by_role("button", name="Stop").press("Enter")
    page.wait_for_function("() => document.getElementById('status').textContent.startsWith('Done: recording at')")
    assert sum(shown(page).values()) == pytest.approx(1, abs=1e-4)
    page.get_by_role("button", name="Angry", exact=True).press("Enter")
    page.wait_for_function("() => document.getElementById('status').textContent.startsWith('Done: Angry')")
    assert page.locator("#answers .sk-card").count() == 2


@pytest.mark.browser
@pytest.mark.slow
def test_work_is_cancelled(page, some_clips, tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000 * 400).astype(np.float32)
    soundfile.write(tmp_path / "long.wav", noise, 16_000)
    upload(page, tmp_path / "long.wav", some_clips["path"].iloc[0], said="Working… 1 of 2: long.wav")
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_function("() => document.getElementById('status').textContent.startsWith('Done: 0')")
    assert page.locator("#answers .sk-card").count() == 0
    upload(page, some_clips["path"].iloc[0], said=f"Done: {Path(some_clips['path'].iloc[0]).name}")
    assert page.locator("#answers .sk-card").count() == 1


@pytest.mark.browser
@pytest.mark.slow
def test_it_can_be_used_by_keyboard_and_read_aloud_in_both_themes(page, some_clips):
    upload(page, some_clips["path"].iloc[0])
    tree = page.locator("body").aria_snapshot()
    named = r"^\s*- (button|link|img|region|progressbar|table|heading)(?! \")"
    assert not re.findall(named, tree.replace("- table:", "- rows:"), flags=re.MULTILINE), tree
    page.locator("#files").focus()
    for text in ("Record", "Angry"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == text
    grounds = {}
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function("scheme => document.documentElement.getAttribute('theme') === scheme", arg=scheme)
        grounds[scheme] = page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
    assert grounds == {"dark": "rgb(21, 25, 31)", "light": "rgb(255, 255, 255)"}
    for size in SIZES:
        page.set_viewport_size(size)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("changed", [False, True])
def test_files_of_a_delivery_network_are_checked(browser, runtime, some_clips, tmp_path, changed):
    def answer(route):
        name = route.request.url.rpartition("/")[2]
        key = next(key for key, file in site.RUNTIME.items() if file == name)
        body = runtime[key] + (b" " if changed else b"")
        route.fulfill(body=body, headers={"Access-Control-Allow-Origin": "*"})

    folder, page = site.write_site(PRESET, tmp_path / "site", cdn=True), browser.new_page()
    assert not (folder / "runtime").exists()
    page.route(f"{site.CDN}**", answer)
    with site.served(folder) as address:
        page.goto(address)
        if changed:
            page.get_by_text(re.compile(f"cannot be loaded: {re.escape(site.CDN)}.* cannot be had")).wait_for()
        else:
            page.get_by_text("Ready.").wait_for()
            upload(page, some_clips["path"].iloc[0])
            assert sum(shown(page).values()) == pytest.approx(1, abs=1e-4)
    page.close()


@pytest.mark.browser
@pytest.mark.slow
def test_a_page_without_its_files_says_so(browser, runtime, tmp_path):
    folder = site.write_site(PRESET, tmp_path / "site")
    (folder / "model.onnx").write_bytes(b"changed")
    with site.served(folder) as address:
        page = browser.new_page()
        for place, said in (
            (address, "model.onnx cannot be had"),
            (f"file://{folder}/index.html", "python -m http.server"),
        ):
            page.goto(place)
            page.get_by_text("The model cannot be loaded").wait_for()
            assert said in page.get_by_role("status").text_content()
            assert page.locator("#files").is_disabled()
        page.close()
