"""``ser_kit.notebook.setup``: what it says of the machine, which corpora it takes, and where results go."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import IPython.display
import matplotlib.pyplot as plt
import numpy as np
import pytest

import ser_kit
from ser_kit import corpora
from ser_kit.app import notebook
from ser_kit.core.errors import CorpusNotFoundError, UnknownNameError

VARIABLES = ("SER_KIT_CORPUS", "SER_KIT_OUTPUT", "SER_KIT_DATA", "KAGGLE_KERNEL_RUN_TYPE", "KAGGLE_CACHE_MOUNT_FOLDER")


@pytest.fixture
def said(monkeypatch, tmp_path, demo_table):
    """What was shown; no variable is set, and the demo corpus is there."""
    shown = []
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KAGGLE_CACHE_MOUNT_FOLDER", str(tmp_path / "kaggle" / "input"))
    monkeypatch.setattr(IPython.display, "display", lambda each: shown.append(each.data))
    monkeypatch.setattr(notebook, "_gpu", lambda: "")
    monkeypatch.chdir(tmp_path)
    return shown


@pytest.fixture
def colab(monkeypatch):
    """The module of Google Colab, whose Drive can be mounted."""
    mounted = []
    module = ModuleType("google.colab")
    module.drive = SimpleNamespace(mount=mounted.append)
    monkeypatch.setitem(sys.modules, "google", ModuleType("google"))
    monkeypatch.setitem(sys.modules, "google.colab", module)
    return mounted


def attached(folder, *names):
    for name in names:
        (folder / corpora.get(name).slug).mkdir(parents=True)


def no_network(handle):
    raise CorpusNotFoundError("the recordings of 'ravdess' cannot be had: no network.\n- Or something else")


def test_elsewhere_the_demo_corpus_is_the_default(said):
    here = ser_kit.notebook.setup()
    assert (here.corpora, str(here.out), here.progress, here.synthetic) == (("demo",), "outputs", True, True)
    (text,) = said
    assert text.startswith("**Synthetic speech.**") and "no GPU" in text and "`demo` is made on this machine." in text
    assert f"{ser_kit.core.parallel.cores()} cores, " in text and "GB of memory" in text
    assert len(here.clips("six")) == sum(corpora.get("demo").expected.values())


def test_what_is_found_is_offered_and_taken_when_named(said, monkeypatch, tmp_path):
    attached(tmp_path / "data", "ravdess", "tess")
    monkeypatch.setenv("SER_KIT_DATA", str(tmp_path / "data"))
    assert notebook.setup().corpora == ("demo",)
    assert "Also there: `ravdess`, `tess`; `setup(NAME)` takes it." in said[-1]
    assert notebook.setup("tess", out=tmp_path / "mine").out == tmp_path / "mine"
    assert "`tess` is in SER_KIT_DATA (toronto" in said[-1] and "Also there: `ravdess`;" in said[-1]
    assert "the folder `mine`" in said[-1] and "Synthetic" not in said[-1] and str(tmp_path) not in "".join(said)


def test_variables_decide_in_unattended_runs(said, monkeypatch):
    monkeypatch.setenv("SER_KIT_CORPUS", " demo ,")
    monkeypatch.setenv("SER_KIT_OUTPUT", "there")
    here = notebook.setup()
    assert (here.corpora, str(here.out), here.progress) == (("demo",), "there", False)
    assert here.play(np.zeros(16000)) is None


def test_kaggles_attached_corpora_are_found(said, monkeypatch, tmp_path):
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    attached(tmp_path / "kaggle" / "input", "emodb", "tess")
    assert notebook.setup().corpora == ("tess",)
    assert "Kaggle, Python" in said[-1] and "`tess` is attached" in said[-1] and "Also there: `emodb`" in said[-1]


def test_colab_downloads_ravdess_and_takes_the_demo_corpus_where_that_fails(said, monkeypatch, colab, tmp_path):
    monkeypatch.setattr("ser_kit.corpora.base._kaggle_download", lambda handle: str(tmp_path))
    assert notebook.setup().corpora == ("ravdess",)
    assert "Google Colab, Python" in said[-1] and "`ravdess` was downloaded by kagglehub." in said[-1]
    monkeypatch.setattr("ser_kit.corpora.base._kaggle_download", no_network)
    assert notebook.setup().corpora == ("demo",)
    sentence = (
        "**Recordings**: `demo`, made on this machine, since the recordings of 'ravdess' cannot be had: no network."
    )
    assert sentence in said[-1].split("\n\n")


def test_what_was_asked_for_by_name_is_not_replaced(said, monkeypatch, colab):
    monkeypatch.setattr("ser_kit.corpora.base._kaggle_download", no_network)
    with pytest.raises(CorpusNotFoundError):
        notebook.setup("ravdess")
    with pytest.raises(UnknownNameError, match="did you mean"):
        notebook.setup("ravdes")


def test_colab_offers_drive_and_mounts_it_when_asked(said, monkeypatch, colab):
    assert str(notebook.setup("demo").out) == "outputs" and colab == []
    assert "deletes with the session; `setup(drive=True)` keeps them in your Drive." in said[-1]
    assert notebook.setup("demo", drive=True).out == notebook.DRIVE / "MyDrive" / "ser_kit"
    assert colab == ["/content/drive"] and "of your Drive, which keeps them." in said[-1]

    def refused(place):
        raise ValueError("no permission")

    monkeypatch.setattr(sys.modules["google.colab"].drive, "mount", refused)
    with pytest.warns(UserWarning, match="Drive cannot be mounted: no permission"):
        assert str(notebook.setup("demo", drive=True).out) == "outputs"


@pytest.mark.parametrize(
    ("printed", "text"),
    [("Tesla T4, 15360\n", "GPU Tesla T4 with 15 GB"), ("A, 8192\nB, 16384\n", "GPU A with 8 GB, GPU B with 16 GB"),
     ("No devices were found\n", ""), ("", "")],
)  # fmt: skip
def test_gpus_are_named_as_nvidias_command_gives_them(monkeypatch, printed, text):
    monkeypatch.setattr(notebook.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=printed))
    assert notebook._gpu() == text


def test_without_nvidias_command_there_is_no_gpu(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert notebook._gpu() == ""


def test_figures_are_saved_and_shown_with_a_text(tmp_path):
    figure, axes = plt.subplots()
    axes.plot([1, 2])
    plt.close(figure)
    picture = notebook.Notebook(("demo",), tmp_path).show(figure, "line", "a line")
    assert (tmp_path / "figures" / "line.png").read_bytes().startswith(b"\x89PNG")
    shown, about = IPython.core.formatters.DisplayFormatter().format(picture)
    assert shown["text/plain"] == "a line" and about["image/png"] == {"alt": "a line"}
    assert picture.png.startswith(b"\x89PNG") and set(shown) == {"text/plain", "image/png"}


def test_wide_figures_are_shown_at_the_width_of_colab(tmp_path):
    figure = plt.figure(figsize=(13, 2))
    plt.close(figure)
    _, about = notebook.Notebook(("demo",), tmp_path).show(figure, "wide", "a wide one")._repr_mimebundle_()
    assert about["image/png"] == {"alt": "a wide one", "width": notebook.WIDEST}


def test_clips_can_be_played_and_facts_are_kept(tmp_path, demo_few):
    here = notebook.Notebook(("demo",), tmp_path / "new")
    assert here.play(demo_few["path"].iloc[0])._repr_html_().count("audio/wav")
    here.keep("facts", {"clips": 1})
    assert (tmp_path / "new" / "facts.json").read_text() == '{"clips": 1}'
