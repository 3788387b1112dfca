"""Predict the emotion of recordings with a trained bundle.

Examples:
    >>> from ser_kit.inference.predictor import Predictor
    >>> predictor = Predictor.from_preset()                       # doctest: +SKIP
    >>> answer = predictor.predict("clip.wav")                    # doctest: +SKIP
    >>> answer.emotion, round(answer.confidence, 2)               # doctest: +SKIP
    ('angry', 0.71)
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from functools import cached_property, partial
from typing import Any

import numpy as np

from .. import _old_names
from ..audio.recording import Recording, Source
from ..bundles.adaptation import MOST_CLIPS, Adaptation, LeftOut, Voices
from ..bundles.bundle import BASELINE, Bundle
from ..bundles.presets import bundle_path, preset_path
from ..core.config import digest
from ..core.errors import AdaptationError, AudioError, BundleError, ForkedError
from ..core.labels import LabelSet, merged
from ..core.parallel import ahead, cores
from ..core.probabilities import without_habit
from ..features import Functionals
from . import speech_check
from .answers import LabelMap, doubt, habit, no_speech, rests_on, sure_from
from .pieces import Watch, path_of, report_part, spread, voiced_shares, watched, windows
from .prediction import Failure, Observation, Prediction, Segment, Windowed, WindowResult

DEFAULT_PRESET = "cross_corpus"
"""Name of the preset that answers unless another bundle is named."""

Labels = str | LabelSet | Iterable[str] | None


class Predictor:
    """Predicts the emotion of recordings with a trained bundle.

    Args:
        bundle: the trained bundle.
        labels: label set of the answers, such as ``"six"`` for a bundle of eight emotions; see
            :func:`ser_kit.core.labels.merged`. ``None`` uses the labels of the bundle. Probabilities are
            renormalised over these labels; where a left-out emotion is more probable, the prediction is
            uncertain.

    Raises:
        LabelError: the bundle cannot answer in these labels.
    """

    def __init__(self, bundle: Bundle, labels: Labels = None):
        self.bundle = bundle
        self._habit, self._enrolled = np.zeros(len(bundle.labels)), []
        self._adaptation: Adaptation | None = None
        own = {label: (label,) for label in bundle.labels}
        self.answers = LabelMap(bundle.labels, own if labels is None else merged(bundle.labels, labels))

    @classmethod
    def from_preset(cls, name: str = DEFAULT_PRESET, labels: Labels = None) -> Predictor:
        """Load a bundle that ships with ser_kit; :func:`ser_kit.bundles.preset_names` lists them.

        Args:
            name: name of the preset.
            labels: as for the class.

        Raises:
            UnknownNameError: no preset has that name.
        """
        return cls.from_bundle(preset_path(name), labels)

    @classmethod
    def from_bundle(cls, folder: str | os.PathLike, labels: Labels = None) -> Predictor:
        """Load a bundle saved by :meth:`ser_kit.bundles.bundle.Bundle.save`.

        Args:
            folder: folder of the bundle.
            labels: as for the class.

        Raises:
            BundleError: the folder is not a usable bundle.
            ForkedError: the networks are used, and this process was forked from one that had used TensorFlow.
        """
        return cls(Bundle.load(folder), labels)

    @classmethod
    def open(cls, name: str | os.PathLike | None = None, labels: Labels = None) -> Predictor:
        """Load a preset by name, a bundle by folder, or the default preset.

        Args:
            name: name of a preset or folder of a bundle; ``None`` is the default preset.
            labels: as for the class.

        Raises:
            BundleError: it is neither.
        """
        return cls.from_bundle(bundle_path(DEFAULT_PRESET if name is None else name), labels)

    def enroll(self, clips: Iterable[Source]) -> Predictor:
        """Calibrate to one speaker with neutral clips.

        Some voices always sound a little sad or angry. Half the difference in log probability between the
        speaker's neutral clips and those of other speakers is subtracted from the predictions for this
        speaker.

        Args:
            clips: neutral recordings of the speaker, each as for :meth:`predict`; two or more are better than
                one.

        Returns:
            A new predictor for this speaker; the original is unchanged.

        Raises:
            AudioError: there are no clips, or a clip cannot be read or does not sound like speech.
            BundleError: the bundle has no neutral baseline.

        Examples:
            >>> mine = Predictor.from_preset().enroll(["me1.wav", "me2.wav"])  # doctest: +SKIP
            >>> mine.predict("clip.wav").emotion                               # doctest: +SKIP
            'happy'
        """
        usual = self.bundle.card.get("baseline")
        if not usual:
            raise BundleError(f"the bundle's card has no {BASELINE} baseline; speakers cannot be enrolled")
        clips = list(clips)
        if not clips:
            raise AudioError(f"no clips to enroll; expected one or more {BASELINE} clips")
        observed = [self.observe(clip) for clip in clips]
        neutral = [np.mean([each.probabilities for each in windows], axis=0) for windows in observed]
        # Samples identify the speaker: the last digits of the habit may differ with the number of threads.
        sounds = sorted(each.sound for windows in observed for each in windows)
        usual = [usual[label] for label in self.bundle.labels]
        return self._copy_with(_habit=habit(neutral, usual), _enrolled=sounds, _adaptation=None)

    def adapt(self, clips: Iterable[Source], *, watch: Watch = None) -> Predictor:
        """Adapt to one speaker with unlabelled clips of any emotion.

        The difference in log probability between these clips and those of other speakers is subtracted from
        the predictions for this speaker. It counts more, the more clips there are and the more they differ in
        emotion. If all clips sound alike, nothing is subtracted: the emotion cannot be separated from the
        voice. ``adaptation`` holds the result, and the clips that could not be used.

        Adapting replaces enrolling (:meth:`enroll`) and the other way round. An adapted predictor continues
        with the same speaker.

        Args:
            clips: clips of one speaker, each as for :meth:`predict`; ten or more work best. Clips of several
                speakers are not detected (``docs/results/unheard.md``). Of more than 200, 200 are used,
                evenly spaced. A clip longer than 8 s counts as several: its windows of about 4 s.
            watch: called with the share that is done, 0..1; raise :class:`concurrent.futures.CancelledError`
                in it to stop.

        Returns:
            A new predictor for this speaker; the original is unchanged.

        Raises:
            AudioError: fewer than two clips can be used. Clips that are silent, cannot be read or do not
                sound like speech are left out.
            BundleError: the bundle's card has no speaker statistics.

        Examples:
            >>> predictor = Predictor.from_preset().adapt(["ann1.wav", "ann2.wav"])  # doctest: +SKIP
            >>> predictor.adaptation.clips, predictor.adaptation.left_out            # doctest: +SKIP
            (2, ())
        """
        clips = spread(list(clips), MOST_CLIPS)
        before = self._current
        found: list[Observation] = []
        left_out: list[LeftOut] = []
        for place, clip in enumerate(clips):
            try:
                found += self.observe(clip, watch=watch and partial(report_part, watch, place, len(clips)))
            except (ForkedError, CancelledError):
                raise
            except Exception as error:  # any error of one recording; the others are used
                failure = Failure.of(path_of(clip) or f"clip {place + 1}", error)
                left_out.append(LeftOut(failure.path, failure.error))
        one = self.with_observations(spread(found, MOST_CLIPS), left_out)
        if one.adaptation.clips < 2 or one.adaptation.sounds == before.sounds:
            used = {each.sound for each in found} - {*before.sounds}
            reasons = "; ".join(reason for _, reason in left_out[:3])
            raise AudioError(
                f"{len(used)} of {len(clips)} clips can be used to adapt to a speaker; expected at least two "
                f"different clips of speech{reasons and f' ({reasons})'}"
            )
        return one

    def observe(self, source: Source, *, watch: Watch = None) -> list[Observation]:
        """Observations of a speaker from one recording, for :meth:`with_observations`.

        Args:
            source: as for :meth:`predict`.
            watch: as for :meth:`predict`.

        Returns:
            One observation for a short recording, one per window with speech for a long one, at most 200.

        Raises:
            AudioError: the recording cannot be read, or does not sound like speech.
        """
        _, pieces = windows(source, self.bundle.rate, watch)
        found, against = [], ""
        for _, piece in watched(spread(pieces, MOST_CLIPS), watch):
            result = self.predict_window(piece)
            if not (against := no_speech([result.evidence])):
                found.append(Observation.of(piece, result))
        if not found:
            raise AudioError(f"{path_of(source) or 'the recording'}: {against}")
        return found

    def with_observations(self, clips: Sequence[Observation], left_out: Sequence[LeftOut] = ()) -> Predictor:
        """Adapt to further clips of the speaker: one step of :meth:`adapt`.

        Args:
            clips: observations of the clips; may be empty.
            left_out: recordings that could not be used.

        Returns:
            A new predictor; the original is unchanged.

        Raises:
            BundleError: the bundle's card has no speaker statistics.
        """
        probabilities, sounds = zip(*clips, strict=True) if clips else ((), ())
        return self.with_adaptation(self._current.more(self.voices, probabilities, sounds, left_out))

    judge = _old_names.Renamed("predict_window")
    used_to = _old_names.Renamed("with_observations")

    @property
    def _current(self) -> Adaptation:
        return self.adaptation or Adaptation.begin(self.bundle.identity, self.voices.labels)

    def with_adaptation(self, adaptation: Adaptation | None) -> Predictor:
        """Replace the adaptation or enrolment by an earlier adaptation.

        Args:
            adaptation: an adaptation of this bundle, from :attr:`adaptation` or
                :meth:`ser_kit.bundles.adaptation.Adaptation.load`; ``None`` removes adaptation and enrolment.

        Returns:
            A new predictor; the original is unchanged.

        Raises:
            AdaptationError: the adaptation belongs to another bundle.
        """
        if adaptation is None:
            return self._copy_with(_habit=np.zeros(len(self.bundle.labels)), _enrolled=[], _adaptation=None)
        if (adaptation.bundle, adaptation.labels) != (self.bundle.identity, self.bundle.labels):
            raise AdaptationError(
                f"the adaptation is of another bundle (labels {', '.join(adaptation.labels)}); expected one "
                f"of {self.bundle.card['name']} (labels {', '.join(self.bundle.labels)}): adapt again"
            )
        return self._copy_with(_habit=np.array(adaptation.offset), _enrolled=[], _adaptation=adaptation)

    @property
    def adaptation(self) -> Adaptation | None:
        """The adaptation to a speaker; ``None`` if the predictor is not adapted."""
        return self._adaptation

    @cached_property
    def voices(self) -> Voices:
        """Speaker statistics of the bundle.

        Raises:
            BundleError: the bundle's card has none.
        """
        numbers = self.bundle.card.get("voices")
        if not numbers:
            raise BundleError(
                "the bundle's card has no speaker statistics, which adaptation needs; train it again with "
                "a speaker-independent protocol"
            )
        return Voices.from_dict(numbers, self.bundle.labels)

    def _copy_with(self, **attributes: Any) -> Predictor:
        """A copy with other values of attributes."""
        one = object.__new__(type(self))
        vars(one).update(vars(self), **attributes)
        vars(one).pop("identity", None)
        return one

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the predictions."""
        return self.answers.labels

    @cached_property
    def identity(self) -> str:
        """Digest of everything that determines the predictions: bundle, labels, and clips of the speaker."""
        known = None if self.adaptation is None else sorted(self.adaptation.sounds)
        described = [self.bundle.identity, self.bundle.card, self.answers.merged, self._enrolled, known]
        return digest(described, size=16, sort_keys=True)

    @cached_property
    def _functionals(self) -> Functionals:
        plain = (each for each in self.bundle.extractors if type(each) is Functionals and not each.preprocess)
        return next(plain, Functionals())

    def predict(self, source: Source, *, watch: Watch = None) -> Prediction:
        """Predict the emotion of one recording.

        A recording longer than 8 s is cut into windows of about 4 s. The prediction is the mean over the
        windows that are not silent, weighted by their voiced share.

        Args:
            source: path, bytes, binary file object, ``(array, rate)`` or :class:`~ser_kit.audio.Recording`.
            watch: called during reading and before each window with the share of windows that is done, 0..1;
                an exception raised in it stops the prediction.

        Raises:
            AudioError: the recording cannot be read, is too short, or is silent.
            ForkedError: this process was forked from one that had used TensorFlow.
        """
        found = self.windowed(source, watch=watch)
        pooled, reason = found.probabilities, self.doubt(found)
        return Prediction(
            **self.answers.named(pooled),
            covered=self.answers.covered(pooled),
            sure=bool(self.answers.shares(pooled).max() >= sure_from(self.bundle.card)),
            uncertain=bool(reason),
            reason=reason,
            segments=tuple(
                Segment(
                    start, start + piece.duration, **self.answers.named(result.probabilities),
                    reason=no_speech([result.evidence]),
                )
                for (start, piece), result in zip(found.pieces, found.results, strict=True)
            ),
            duration=found.recording.duration,
            path=path_of(source),
            rests_on=rests_on(self.bundle.card, {each.corpus for each in found.results}),
        )  # fmt: skip

    def windowed(self, source: Source, *, watch: Watch = None) -> Windowed:
        """The windows of one recording and the result for each, which :meth:`predict` combines.

        Args:
            source: as for :meth:`predict`.
            watch: as for :meth:`predict`.

        Raises:
            AudioError: as for :meth:`predict`.
        """
        recording, pieces = windows(source, self.bundle.rate, watch)
        return Windowed(recording, pieces, tuple(self._predict_windows(pieces, watch)))

    def doubt(self, found: Windowed) -> str:
        """Why the answer for a recording is uncertain, or ``""``.

        Args:
            found: the result of :meth:`windowed`.
        """
        return doubt(self.bundle.card, self.answers, self._functionals, found)

    def measure(self, source: Source, *, watch: Watch = None) -> dict[str, float]:
        """Acoustic features of one recording, for comparison with the typical values in the bundle's card.

        Args:
            source: as for :meth:`predict`.
            watch: as for :meth:`predict`.

        Returns:
            :class:`~ser_kit.features.Functionals`, name -> value. For a recording longer than 8 s, the mean
            over the windows of :meth:`predict` with the same weights; ``duration`` is that of the recording.

        Raises:
            AudioError: as for :meth:`predict`.

        Examples:
            >>> Predictor.from_preset().measure("clip.wav")["pitch_mean"]  # doctest: +SKIP
            187.2
        """
        recording, pieces = windows(source, self.bundle.rate, watch)
        found = [
            (speech_check.measure(piece.at(speech_check.RATE)), self._functionals.measure(piece)[0])
            for _, piece in watched(pieces, watch)
        ]
        evidence, rows = zip(*found, strict=True)
        means = voiced_shares(evidence) @ np.stack(rows).astype(float)
        named = dict(zip(self._functionals.feature_names, means.tolist(), strict=True))
        return named | {"duration": recording.duration}

    def _predict_windows(
        self, pieces: Sequence[tuple[float, Recording]], watch: Watch
    ) -> Iterable[WindowResult]:
        """:meth:`predict_window` of each window, in order; computed in parallel, one core each."""
        if len(pieces) == 1:
            return [self.predict_window(piece) for _, piece in watched(pieces, watch)]
        return ahead(lambda window: self.predict_window(window[1]), watched(pieces, watch), cores())

    def predict_window(self, piece: Recording) -> WindowResult:
        """Probabilities and measurements of one window; :meth:`predict` combines them.

        Windows are not batched: a result must not depend on other windows, not even in the last digit.

        Args:
            piece: 0.1 s or more, at the bundle's sampling rate, not silent.
        """
        row = self._functionals.measure(piece)[0] if self._measures else None
        unadapted, places = self.bundle.answer(piece, {} if row is None else {self._functionals: row})
        sharpness, place = float(places.sharpness[0]), int(places.corpus[0])
        corpora = sorted(each["corpus"] for each in self.bundle.card.get("trained_on", ()))
        corpus = corpora[place] if 0 <= place < len(corpora) else ""
        evidence = speech_check.measure(piece.at(speech_check.RATE))
        return WindowResult(self.adapted(unadapted, sharpness), evidence, row, unadapted, sharpness, corpus)

    def adapted(self, unadapted: np.ndarray, sharpness: float) -> np.ndarray:
        """Probabilities adapted to the enrolled or adapted speaker; unchanged if there is none.

        Args:
            unadapted: probabilities for an unknown speaker, ``[labels of the bundle]``.
            sharpness: see :class:`WindowResult`.
        """
        return without_habit(unadapted, sharpness * self._habit)

    @property
    def _measures(self) -> bool:
        """Whether predictions need the functionals."""
        return (
            self._functionals in self.bundle.extractors or self.bundle.card.get("strange_above") is not None
        )

    def predict_many(self, sources: Iterable[Source], *, jobs: int = 1) -> Iterator[Prediction | Failure]:
        """Predict many recordings, in order; one that fails yields a :class:`Failure`.

        Args:
            sources: each as for :meth:`predict`; consumed a few at a time.
            jobs: number of threads, about the number of cores. The predictions do not depend on it.

        Yields:
            A prediction or a failure for each source.
        """

        def answer(source: Source) -> Prediction | Failure:
            try:
                return self.predict(source)
            except ForkedError:
                raise  # affects every recording
            except Exception as error:  # any error of one recording; the others continue
                return Failure.of(path_of(source), error)

        return map(answer, sources) if jobs == 1 else ahead(answer, sources, jobs)
