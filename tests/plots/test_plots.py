"""Figures show what they are given: how many bars, which labels, what values; none touches pyplot."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from run_records import records

from ser_kit import audio, plots, recipes
from ser_kit.core.errors import TableError, UnknownNameError
from ser_kit.core.labels import COLOURS, EMOTIONS
from ser_kit.evaluation import Evaluation
from ser_kit.plots.recordings import PANELS
from ser_kit.plots.style import SERIES
from ser_kit.plots.systems import DEPENDENT, INDEPENDENT
from ser_kit.recipes import comparison

LABELS = ("neutral", "happy", "sad")
RATE = 16_000


@pytest.fixture
def table() -> pd.DataFrame:
    rows = [
        (f"ravdess:{s:02d}-{emotion}-{i}", "ravdess", f"ravdess:{s:02d}", sex, emotion)
        for s, sex in enumerate(["female", "male", ""])
        for emotion in ("sad", "neutral", "happy")
        for i in range(4 if emotion == "happy" else 2)
    ]
    return pd.DataFrame(rows, columns=["clip_id", "corpus", "speaker", "sex", "emotion"])


def make(protocol="speaker", recipe="mlp", epochs=(4, 6)) -> Evaluation:
    """A sad clip is always heard as happy; one happy clip in two as neutral; neutral ones are right."""
    rows = [("neutral", "neutral")] * 4 + [("happy", "happy"), ("happy", "neutral")] * 2 + [("sad", "happy")] * 4
    frame = pd.DataFrame(rows, columns=["true", "predicted"])
    frame = frame.assign(
        clip_id=[str(i) for i in range(12)],
        corpus="c",
        speaker=list("abcd") * 3,
        sex="",
        fold=[0, 1] * 6,
        confidence=0.75,
    ).assign(prob_neutral=0.2, prob_happy=0.75, prob_sad=0.05)
    histories = [
        pd.DataFrame({"epoch": np.arange(1, n + 1), "learning_rate": 1e-3})
        .assign(loss=np.linspace(2, 1, n), val_loss=np.linspace(2, 1.5, n))
        .assign(accuracy=np.linspace(0.2, 0.8, n), val_accuracy=np.linspace(0.2, 0.5, n))
        for n in epochs
    ]
    return Evaluation(recipe, protocol, protocol == "speaker", 0, LABELS, frame, histories)


def curves() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Of two corpora left out: shares right of the surest, and UAR after clips of the speaker."""
    answered = np.linspace(0.01, 1, 50)
    coverage = pd.concat(
        [pd.DataFrame({"corpus": name, "answered": answered, "right": 1 - answered / 2}) for name in ("north", "south")]
    )
    adapted = pd.DataFrame(
        {
            "none": [50, 40],
            "5": [52, 41],
            "all": [55, 43],
            "one emotion: 5": [49, 40],
            "one emotion: all": [48, 39],
        },
        index=["north", "south"],
    )
    return coverage, adapted


def voice(seconds: float = 1.0, pitch: float = 200.0) -> tuple[np.ndarray, int]:
    t = np.arange(int(seconds * RATE)) / RATE
    return (0.3 * sum(np.sin(2 * np.pi * pitch * k * t) / k for k in range(1, 8))).astype(np.float32), RATE


def bars(ax) -> list:
    """Rectangles that stand for a value; the background is none."""
    return list(ax.patches)


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def title(ax) -> str:
    return ax.get_title(loc="left")


def heading(figure: Figure) -> str:
    return figure.get_suptitle()


def test_a_picture_of_few_colours_keeps_them(demo_few):
    from PIL import Image

    figure, drawn = plots.portrait(demo_few["path"].iloc[0], ["mel", "mfcc"]), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=100)
    small = plots.png(figure)
    whole, kept = (
        np.asarray(Image.open(io.BytesIO(each)).convert("RGB")).astype(int) for each in (drawn.getvalue(), small)
    )
    assert len(small) < 0.6 * len(drawn.getvalue())
    assert np.abs(whole - kept).max() < 24


def test_every_canonical_emotion_has_a_colour_of_its_own():
    assert tuple(COLOURS) == EMOTIONS
    assert len(set(COLOURS.values())) == len(EMOTIONS)


@pytest.mark.parametrize(
    "draw",
    [
        lambda table: plots.class_distribution(table),
        lambda table: plots.speakers(table),
        lambda table: plots.portrait(voice(0.3)),
        lambda table: plots.feature_by_emotion(table.assign(pitch=1.0), ["pitch"]),
        lambda table: plots.training_curves(make()),
        lambda table: plots.confusion(make()),
        lambda table: plots.per_class(make()),
        lambda table: plots.protocol_comparison([make()]),
        lambda table: plots.reliability(make()),
        lambda table: plots.left_out(*curves()),
        lambda table: plots.probabilities({"happy": 0.6, "sad": 0.4}),
        lambda table: plots.published_systems(comparison.systems(records())),
        lambda table: plots.reported(comparison.reported(records())),
        lambda table: plots.leakage(comparison.by_protocol(records())),
        lambda table: plots.ablations(comparison.gains(records())),
    ],
)
def test_every_figure_says_what_it_shows_and_draws_in_a_thread(draw, table):
    made = []
    thread = threading.Thread(target=lambda: made.append(draw(table)))
    thread.start()
    thread.join()
    (figure,) = made
    assert type(figure) is Figure
    assert heading(figure) or title(figure.axes[0])
    assert figure._repr_png_()[:8] == b"\x89PNG\r\n\x1a\n"  # what a notebook asks for
    pyplot = sys.modules.get("matplotlib.pyplot")  # loaded by seaborn
    assert not pyplot or not pyplot.get_fignums()


def test_pyplot_is_never_loaded():
    code = (
        "import sys, numpy as np; from ser_kit import plots\n"
        "assert 'matplotlib' not in sys.modules\n"
        "plots.probabilities({'sad': 1.0})._repr_png_(); plots.portrait((np.ones(4000) / 2, 16000), ['waveform'])\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class TestTables:
    def test_class_distribution(self, table):
        (ax,) = plots.class_distribution(table).axes
        assert [tick.get_text() for tick in ax.get_yticklabels()] == ["neutral", "happy", "sad"]
        assert len(bars(ax)) == 9  # three emotions of women, men and those not known
        assert sorted(bar.get_width() for bar in bars(ax)) == [2] * 6 + [4] * 3
        assert [text.strip() for text in texts(ax)] == ["6", "12", "6"]
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["female", "male", "not known"]
        assert title(ax) == "Clips by emotion and sex: 24 clips of ravdess"
        assert to_hex(bars(ax)[1].get_facecolor()) == COLOURS["happy"]

    def test_class_distribution_prefers_labels(self, table):
        (ax,) = plots.class_distribution(table.assign(label="angry")).axes
        assert [tick.get_text() for tick in ax.get_yticklabels()] == ["angry"]

    def test_speakers(self, table):
        (ax,) = plots.speakers(table).axes
        assert [tick.get_text() for tick in ax.get_xticklabels()] == ["00", "01", "02"]
        assert len(bars(ax)) == 9
        assert max(bar.get_y() + bar.get_height() for bar in bars(ax)) == 8

    def test_many_speakers_are_not_named(self):
        many = pd.DataFrame({"speaker": [f"c:{i}" for i in range(60)], "emotion": "sad"})
        (ax,) = plots.speakers(many).axes
        assert not ax.get_xticklabels() and ax.get_xlabel() == "60 speakers"

    def test_an_empty_table(self, table):
        with pytest.raises(TableError, match="at least one clip"):
            plots.class_distribution(table.iloc[:0])


def track(figure, label: str) -> np.ndarray:
    """The values of a line that is drawn over the spectrogram."""
    (scale,) = [ax for ax in figure.axes if ax.get_ylabel() == label]
    return scale.lines[0].get_ydata()


class TestPortrait:
    def test_panels_in_order(self):
        figure = plots.portrait(voice(), ["waveform", "mel", "pitch", "mfcc", "chroma"])
        titles = [title(ax).split()[0] for ax in figure.axes if title(ax)]
        assert titles == ["Waveform", "Mel", "Pitch", "MFCC", "Chroma"]

    def test_pitch_lies_where_it_is_heard(self):
        figure = plots.portrait(voice(pitch=220.0), ["mel"])
        assert "median 220 Hz" in title(figure.axes[0])
        assert np.nanmedian(track(figure, "pitch (Hz)")) == pytest.approx(220, abs=1)

    def test_intensity_is_what_praat_counts(self):
        samples = np.sin(2 * np.pi * 500 * np.arange(2 * RATE) / RATE).astype(np.float32) * 0.1
        samples[RATE:] /= 10  # 20 dB
        level = 20 * np.log10(0.1 / np.sqrt(2) / 2e-5)
        found = track(plots.portrait((samples, RATE), ["mel"]), "intensity (dB)")
        middle = len(found) // 2
        assert found[10 : middle - 10] == pytest.approx(level, abs=0.1)
        assert found[middle + 10 : -10] == pytest.approx(level - 20, abs=0.1)

    def test_mel_is_brightest_at_the_tone(self):
        import librosa

        tone = np.sin(2 * np.pi * 2000 * np.arange(RATE) / RATE), RATE
        image = plots.portrait(tone, ["mel"]).axes[0].images[0]
        values, (_, _, bottom, top) = np.asarray(image.get_array()), image.get_extent()
        row = values.mean(axis=1).argmax()
        centre = librosa.mel_to_hz(bottom + (row + 0.5) / len(values) * (top - bottom))
        assert centre == pytest.approx(2000, rel=0.06)

    def test_chroma_finds_the_note(self):
        image = plots.portrait(voice(pitch=440.0), ["chroma"]).axes[0].images[0]
        assert np.asarray(image.get_array()).mean(axis=1).argmax() == 9  # A

    def test_waveform_keeps_the_peaks_of_a_long_recording(self):
        samples = np.zeros(60 * RATE, dtype=np.float32)
        samples[123_456] = 0.9
        ax = plots.portrait((samples, RATE), ["waveform"]).axes[0]
        (shape,) = ax.collections
        assert shape.get_paths()[0].vertices[:, 1].max() == pytest.approx(0.9, abs=1e-4)
        assert ax.get_xlim() == (0, 60)

    @pytest.mark.parametrize("seconds", [0.01, 0.05, 0.3])
    def test_short_recordings(self, seconds):
        figure = plots.portrait(voice(seconds), list(PANELS))
        assert figure.axes[0].get_xlim() == pytest.approx((0, seconds), abs=1e-4)
        figure._repr_png_()

    @pytest.mark.filterwarnings("ignore::ser_kit.core.errors.SilentAudioWarning")
    def test_silence_is_dark(self):
        figure = plots.portrait((np.zeros(RATE, dtype=np.float32), RATE))
        assert "no pitch found" in title(figure.axes[1])
        assert np.asarray(figure.axes[1].images[0].get_array()).max() <= -60
        assert not np.asarray(figure.axes[3].images[0].get_array()).any()

    def test_heading(self):
        assert "1.00 s at 16,000 Hz" in heading(plots.portrait(voice(), ["waveform"]))
        assert heading(plots.portrait(audio.read_audio(voice()), ["waveform"], title="mine")) == "mine"

    def test_side_by_side(self):
        figure = plots.portrait(voice(), ["waveform", "mel", "mfcc"], side_by_side=True)
        panels = [ax for ax in figure.axes if title(ax)]
        assert [title(ax).split()[0] for ax in panels] == ["Waveform", "Mel", "MFCC"]
        figure._repr_png_()  # lays it out
        places = [ax.get_position() for ax in panels]
        assert places[0].x1 < places[1].x0 < places[1].x1 < places[2].x0
        assert len({round(place.y0, 3) for place in places}) == 1
        assert {ax.get_xlabel() for ax in panels} == {"time (s)"}

    def test_unknown_panel(self):
        with pytest.raises(UnknownNameError, match="did you mean 'mfcc'"):
            plots.portrait(voice(), ["mfc"])

    @pytest.mark.realdata
    def test_real_speech(self, real_data):
        file = next((real_data / "ravdess-emotional-speech-audio" / "Actor_02").glob("*-05-02-*.wav"))
        figure = plots.portrait(file)
        assert file.name in heading(figure)
        pitch = track(figure, "pitch (Hz)")
        assert 100 < np.nanmedian(pitch) < 500  # a woman, angry


class TestFeatures:
    def test_one_panel_per_feature(self, table):
        frame = table.assign(pitch_mean=np.arange(len(table)), jitter=1.0)
        figure = plots.feature_by_emotion(frame, ["pitch_mean", "jitter"])
        assert [title(ax) for ax in figure.axes] == ["pitch mean", "jitter"]
        assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == list(LABELS)
        assert len(figure.axes[0].patches) == 3

    def test_missing_values_are_left_out(self, table):
        frame = table.assign(pitch=np.where(table["emotion"] == "sad", 3.0, np.nan))
        ax = plots.feature_by_emotion(frame, ["pitch"]).axes[0]
        medians = [line.get_xdata()[0] for line in ax.lines if len(set(line.get_xdata())) == 1]
        assert 3.0 in medians

    @pytest.mark.parametrize("names", [[], ["loudness"]])
    def test_unknown_features(self, table, names):
        with pytest.raises(TableError, match="there are clip_id"):
            plots.feature_by_emotion(table, names)


class TestTraining:
    def test_a_panel_for_each_pair(self):
        figure = plots.training_curves(make())
        assert [title(ax) for ax in figure.axes] == ["Loss", "Accuracy"]
        assert "2 folds" in heading(figure) and "speaker-independent" in heading(figure)
        thick = [line for line in figure.axes[0].lines if line.get_linewidth() > 2]
        assert [len(line.get_xdata()) for line in thick] == [4, 4]  # the mean ends with the shorter fold

    def test_one_history(self):
        figure = plots.training_curves(make().histories[0])
        assert "one fold" in heading(figure)
        best = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
        assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in best] == [(4, 1.5)]

    def test_epochs_without_validation_leave_no_gap(self):
        histories = [history.copy() for history in make().histories]
        for history in histories:
            history.loc[[0, 2], ["val_loss", "val_accuracy"]] = np.nan
        lines = plots.training_curves(histories).axes[0].lines
        validation = [line.get_xdata().tolist() for line in lines if line.get_color() == SERIES[1]]
        assert [2, 4] in validation and not any(1 in epochs or 3 in epochs for epochs in validation)

    def test_an_ensemble_has_several_trainings_a_fold(self):
        ensemble = make(epochs=(4, 6, 5, 3))  # of two folds
        figure = plots.training_curves(ensemble)
        assert "4 trainings in 2 folds" in heading(figure)
        assert "thin lines: trainings" in figure.get_supxlabel()

    def test_time_is_no_curve(self):
        histories = [history.assign(seconds=1.0) for history in make().histories]
        assert [title(ax) for ax in plots.training_curves(histories).axes] == ["Loss", "Accuracy"]

    def test_a_forest_has_no_curve(self):
        with pytest.raises(TableError, match="a forest or an SVM has no epochs"):
            plots.training_curves(make(epochs=()))

    @pytest.mark.parametrize("histories", [[], [pd.DataFrame({"epoch": [1], "loss": [1.0]})]])
    def test_nothing_to_draw(self, histories):
        with pytest.raises(TableError, match="no history"):
            plots.training_curves(histories)


class TestEvaluations:
    def test_confusion_in_percent(self):
        ax = plots.confusion(make()).axes[0]
        assert texts(ax) == ["100", "0", "0", "50", "50", "0", "0", "100", "0"]
        assert [tick.get_text() for tick in ax.get_yticklabels()] == ["neutral (4)", "happy (4)", "sad (4)"]
        assert [tick.get_text() for tick in ax.get_xticklabels()] == list(LABELS)
        assert title(ax) == "mlp, speaker\n(speaker-independent)\nUAR 50.0% over 12 clips"

    def test_confusion_in_clips(self):
        ax = plots.confusion(make().confusion(), normalise=False).axes[0]
        assert texts(ax) == ["4", "0", "0", "2", "2", "0", "0", "4", "0"]

    def test_confusion_with_a_class_never_tested(self):
        counts = make().confusion()
        counts.loc["sad"] = 0
        assert texts(plots.confusion(counts).axes[0])[-3:] == ["0", "0", "0"]

    def test_per_class_of_one(self):
        figure = plots.per_class(make())
        heights = [bar.get_height() for bar in bars(figure.axes[0])]
        assert heights == pytest.approx([4 / 6, 2 / 6, 0, 1, 0.5, 0, 0.8, 0.4, 0])  # precision, recall, F1
        assert [text.get_text() for text in figure.legends[0].get_texts()] == ["precision", "recall", "F1"]

    def test_per_class_of_several(self):
        figure = plots.per_class([make(), make("random")])
        assert [bar.get_height() for bar in bars(figure.axes[0])] == pytest.approx([1, 0.5, 0] * 2)
        assert "random (speaker-dependent)" in figure.legends[0].get_texts()[1].get_text()

    def test_protocol_comparison(self):
        runs = [make("random"), make(), make("random", "cnn"), make("speaker", "cnn")]
        figure = plots.protocol_comparison(runs)
        ax = figure.axes[0]
        assert len(bars(ax)) == 4
        assert [tick.get_text() for tick in ax.get_xticklabels()] == ["mlp", "cnn"]
        summary = runs[0].summary()["uar"]
        assert bars(ax)[0].get_height() == pytest.approx(summary["pooled"])
        assert "dotted: of fewer than 10 speakers" in ax.get_xlabel()
        (whisker,) = ax.collections[0].get_segments()
        assert whisker[:, 1] == pytest.approx([summary["low"], summary["high"]])
        assert ax.lines[0].get_ydata()[0] == pytest.approx(1 / 3)  # chance
        legend = {text.get_text() for text in figure.legends[0].get_texts()}
        assert legend == {"chance (33.3%)", "random (speaker-dependent)", "speaker (speaker-independent)"}

    def test_protocol_comparison_by_another_metric(self):
        assert title(plots.protocol_comparison([make()], "accuracy").axes[0]) == "Accuracy by protocol"
        with pytest.raises(UnknownNameError, match="unknown metric 'ua'"):
            plots.protocol_comparison([make()], "ua")

    @pytest.mark.parametrize("draw", [plots.per_class, plots.protocol_comparison])
    def test_no_evaluations(self, draw):
        with pytest.raises(TableError, match="at least one evaluation"):
            draw([])

    def test_reliability(self):
        top, bottom = plots.reliability(make(), bins=10).axes
        assert [bar.get_height() for bar in bars(top)][7] == pytest.approx(0.5)
        assert [bar.get_height() for bar in bars(bottom)] == [0] * 7 + [12] + [0] * 2
        assert "expected calibration error 25.0%" in title(top)

    def test_curves_of_corpora_left_out_show_what_they_are_given(self):
        left, right = plots.left_out(*curves()).axes
        assert [line.get_label() for line in left.lines[:2]] == ["north", "south"]
        np.testing.assert_allclose(left.lines[1].get_xydata()[-1], [1, 0.5])
        mixed, one = right.lines[:2]
        assert (list(mixed.get_xdata()), list(mixed.get_ydata())) == (["none", "5", "all"], [50, 52, 55])
        assert (list(one.get_xdata()), list(one.get_ydata())) == (["5", "all"], [49, 48])

    @pytest.mark.parametrize("draw", [plots.confusion, plots.per_class, plots.reliability])
    def test_a_long_name_stays_within_the_figure(self, draw):
        figure = draw(make("random_80_10_10", "td_cnn_bilstm_attention+without bidirectional"))
        figure._repr_png_()
        width = figure.bbox.width
        assert all(ax._left_title.get_window_extent().x1 <= width for ax in figure.axes)


def dots(ax) -> list[tuple[float, str]]:
    """Value and colour of each dot, from top to bottom."""
    found = [line for line in ax.lines if line.get_marker() == "o"]
    found.sort(key=lambda line: line.get_ydata()[0])
    return [(pytest.approx(line.get_xdata()[0]), to_hex(line.get_color())) for line in found]


class TestPublishedSystems:
    def test_other_reported_figures_stand_beside_ours(self):
        of_all, of_one = plots.reported(comparison.reported(records())).axes
        expected = [
            (of_all, "rastogi_mlp: recall (UAR)", 0.65, 0.35),
            (of_one, "rastogi_mlp: F1 of fear", 0.56, 0.175),
        ]
        for ax, wanted, reported, ours in expected:
            names = [tick.get_text() for tick in ax.get_yticklabels()]
            row = names.index(wanted)
            here = [line for line in ax.lines if abs(line.get_ydata()[0] - row) < 0.3]
            marks = {line.get_marker(): line.get_xdata()[0] for line in reversed(here)}
            assert marks["D"] == reported
            assert marks["o"] == pytest.approx(ours)  # under the published split, which is drawn first
        assert "staged_cnn_lstm: training accuracy" in [tick.get_text() for tick in of_all.get_yticklabels()]

    def test_every_system_has_a_row(self):
        figure = plots.published_systems(comparison.systems(records()))
        (ax,) = figure.axes
        rows = [tick.get_text() for tick in ax.get_yticklabels()]
        assert [row.split()[0] for row in rows] == list(recipes.RECIPES)
        assert rows[list(recipes.RECIPES).index("deep_belief_network")] == "deep_belief_network (emodb)"
        assert texts(ax) == ["not run here"] * (len(recipes.RECIPES) - 3)
        legend = {text.get_text() for text in figure.legends[0].get_texts()}
        assert legend == {
            "reported", "reproduced, published split (speaker-dependent)", "unseen speakers (speaker-independent)",
            "chance",
        }  # fmt: skip

    def test_reported_reproduced_unseen_and_chance(self):
        (ax,) = plots.published_systems(comparison.systems(records())).axes
        row = list(recipes.RECIPES).index("rastogi_mlp")
        here = [line for line in ax.lines if abs(line.get_ydata()[0] - row) < 0.3]
        at = {line.get_marker(): line.get_xdata() for line in here if line.get_marker() in ("D", "|")}
        assert list(at["D"]) == [0.6514] and list(at["|"]) == [pytest.approx(1 / 6)]
        seen = [(line.get_xdata()[0], to_hex(line.get_color())) for line in here if line.get_marker() == "o"]
        assert seen == [(0.7, DEPENDENT), (pytest.approx(0.5), INDEPENDENT)]
        whisker = [line.get_xdata() for line in here if to_hex(line.get_color()) == INDEPENDENT][0]
        assert list(whisker) == pytest.approx([0.4, 0.6])
        staged = [line.get_xdata() for line in ax.lines if line.get_marker() == "D"][0]
        assert list(staged) == [0.94, 0.951]

    def test_missing_folds_are_marked(self):
        some = records()
        figure = plots.published_systems(comparison.systems(some[some.index != 2]))
        assert "rastogi_mlp *" in [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
        assert "*: folds missing" in figure.axes[0].get_xlabel()

    def test_leakage_goes_from_leaky_to_honest(self):
        figure = plots.leakage(comparison.by_protocol(records()))
        (ax,) = figure.axes
        assert [tick.get_text() for tick in ax.get_yticklabels()] == [
            "staged_cnn_lstm (ravdess)", "random_80_20_peeking", "random_80_20", "speaker",
            "rastogi_mlp (ravdess)", "random_70_15_15", "speaker",
        ]  # fmt: skip
        assert [value for value, _ in dots(ax)] == [0.9, 0.8, 0.5, 0.7, 0.5]
        assert [colour for _, colour in dots(ax)][1:] == [
            DEPENDENT, INDEPENDENT, DEPENDENT, INDEPENDENT,
        ]  # fmt: skip
        assert texts(ax) == ["90.0", "80.0", "50.0", "70.0", "50.0"]
        legend = [text.get_text() for text in figure.legends[0].get_texts()]
        assert legend == ["speaker-dependent, test as validation", "speaker-dependent", "speaker-independent"]
        assert heading(plots.leakage(comparison.by_protocol(records(), "uar"))).startswith("UAR by protocol")

    def test_many_systems_go_into_two_columns(self):
        rows = [(name, "", "c", p, [0.5]) for name in recipes.RECIPES for p in ("random", "speaker")]
        left, right = plots.leakage(comparison.by_protocol(records(*rows))).axes
        assert len(dots(left)) + len(dots(right)) == 2 * len(recipes.RECIPES)
        assert abs(len(dots(left)) - len(dots(right))) <= 2

    def test_ablations_are_compared_fold_by_fold(self):
        (ax,) = plots.ablations(comparison.gains(records())).axes
        assert [tick.get_text() for tick in ax.get_yticklabels()] == ["rastogi_mlp (ravdess)", "wide"]
        assert dots(ax) == [(5.0, DEPENDENT), (-10.0, INDEPENDENT)]
        assert texts(ax) == ["+5.0", "-10.0"]

    @pytest.mark.parametrize(
        ("draw", "made", "message"),
        [
            (plots.leakage, comparison.by_protocol, "under two protocols"),
            (plots.ablations, comparison.gains, "no ablation has a record"),
        ],
    )
    def test_nothing_to_compare(self, draw, made, message):
        with pytest.raises(TableError, match=message):
            draw(made(records(("rastogi_mlp", "", "ravdess", "speaker", [0.5]))))


class TestDeployment:
    FILES = pd.DataFrame({
        "file": ["LiteRT", "LiteRT, int8"], "size": [2_000_000, 500_000], "compressed": [1_800_000, 400_000],
        "milliseconds": [{1: 4.0, 2: 3.0}, {1: 2.0, 2: 1.0}], "uar": [0.66, 0.64], "bundle_uar": [0.66, 0.66],
    })  # fmt: skip

    def test_files_stand_beside_each_other(self):
        size, time, worth = plots.exports(self.FILES).axes
        assert [bar.get_width() for bar in bars(size)] == [2.0, 0.5, 1.8, 0.4]
        assert [bar.get_width() for bar in bars(time)] == [4.0, 2.0, 3.0, 1.0]
        assert [tick.get_text() for tick in size.get_yticklabels()] == ["LiteRT", "LiteRT, int8"]
        assert texts(worth) == ["66.0", "64.0"]
        assert list(worth.lines[0].get_xdata()) == [0.66, 0.64] and set(worth.lines[1].get_xdata()) == {0.66}

    def test_what_pruning_costs_and_saves(self):
        shares = pd.DataFrame({
            "share": [0, 0.5, 0.9], "uar": [0.66, 0.67, 0.5], "size": [2e6] * 3, "compressed": [1.8e6, 1e6, 3e5],
        })  # fmt: skip
        cost, saving = plots.pruning(shares).axes
        assert texts(cost) == ["67.0", "50.0"] and set(cost.lines[1].get_ydata()) == {0.66}
        assert list(saving.lines[1].get_ydata()) == [1.8, 1.0, 0.3]


class TestProbabilities:
    PREDICTION = SimpleNamespace(
        emotion="sad",
        confidence=0.5,
        uncertain=False,
        probabilities={"happy": 0.2, "sad": 0.5, "neutral": 0.3},
    )

    def test_sorted_and_highlighted(self):
        (ax,) = plots.probabilities(self.PREDICTION).axes
        assert [tick.get_text() for tick in ax.get_yticklabels()] == ["sad", "neutral", "happy"]
        assert [bar.get_width() for bar in bars(ax)] == [0.5, 0.3, 0.2]
        colours = [to_hex(bar.get_facecolor()) for bar in bars(ax)]
        assert colours[0] == COLOURS["sad"] and len(set(colours[1:])) == 1
        assert texts(ax) == ["50%", "30%", "20%"]
        assert title(ax) == "sad, 50%"

    def test_doubt_is_said(self):
        unsure = SimpleNamespace(**{**vars(self.PREDICTION), "uncertain": True})
        assert title(plots.probabilities(unsure).axes[0]) == "not sure: sad, 50%"
