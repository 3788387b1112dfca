"""Recordings in, predictions out.

Examples:
    >>> from ser_kit.inference.predictor import Predictor
    >>> predictor = Predictor.from_preset()                       # doctest: +SKIP
    >>> answer = predictor.predict("clip.wav")                    # doctest: +SKIP
    >>> answer.emotion, round(answer.confidence, 2)               # doctest: +SKIP
    ('angry', 0.71)
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from functools import cached_property, partial
from typing import Any

import numpy as np

from ..audio.recording import SILENT_PEAK, Excerpt, Recording, Source, read_audio
from ..bundles.adaptation import MOST_CLIPS, Adaptation, LeftOut, Voices
from ..bundles.bundle import BASELINE, Bundle, strangeness
from ..bundles.member import Member
from ..bundles.presets import bundle_path, preset_path
from ..core.errors import AdaptationError, AudioError, BundleError, ForkedError, SilentAudioWarning, TooShortError
from ..core.labels import LabelSet, merged
from ..core.parallel import ahead, cores
from ..core.probabilities import without_habit
from ..features import MIN_SECONDS, Functionals
from . import speech_check
from .answers import LabelMap, habit, rests_on
from .pieces import cut, report_part, spread, voiced_shares, watched
from .prediction import Failure, Judged, Observation, Prediction, Segment

DEFAULT_PRESET = "cross_corpus"

BEYOND = "it sounds most like {}, which is not among the labels"
"""What is said of a recording whose most probable emotion the labels leave out."""

_NO_SPEECH = "it does not sound like speech"


class Predictor:
    """Names the emotion of recordings with a trained bundle.

    Args:
        bundle: what to predict with.
        labels: answer in another label set, such as ``"six"`` where the bundle tells eight emotions apart; see
            :func:`ser_kit.core.labels.merged`. ``None`` answers in the bundle's own. Probabilities are then relative to
            these labels; what the bundle gives to emotions that they leave out counts as doubt.

    Raises:
        LabelError: the bundle cannot answer in these labels.
    """

    def __init__(self, bundle: Bundle, labels: str | LabelSet | Iterable[str] | None = None):
        self.bundle = bundle
        self._habit, self._enrolled = np.zeros(len(bundle.labels)), []
        self._adaptation: Adaptation | None = None
        given = {label: (label,) for label in bundle.labels} if labels is None else merged(bundle.labels, labels)
        self.answers = LabelMap(bundle.labels, given)

    @classmethod
    def from_preset(cls, name: str = DEFAULT_PRESET, labels: str | LabelSet | Iterable[str] | None = None) -> Predictor:
        """A bundle that ships with ser_kit; :func:`ser_kit.bundles.preset_names` lists them.

        Raises:
            UnknownNameError: no preset has that name.
        """
        return cls.from_bundle(preset_path(name), labels)

    @classmethod
    def from_bundle(cls, folder: str | os.PathLike, labels: str | LabelSet | Iterable[str] | None = None) -> Predictor:
        """A bundle saved by :meth:`ser_kit.bundles.bundle.Bundle.save`.

        Raises:
            BundleError: the folder is not a usable bundle.
            ForkedError: the networks answer, and TensorFlow has computed in the process that this one was forked from.
        """
        return cls(Bundle.load(folder), labels)

    @classmethod
    def open(
        cls, name: str | os.PathLike | None = None, labels: str | LabelSet | Iterable[str] | None = None
    ) -> Predictor:
        """A preset by name, a bundle by folder, or the default preset.

        Raises:
            BundleError: it is neither.
        """
        return cls.from_bundle(bundle_path(DEFAULT_PRESET if name is None else name), labels)

    def enroll(self, clips: Iterable[Source]) -> Predictor:
        """A predictor that knows how one person sounds without emotion, and hears the others against that.

        Some voices always sound a little sad, or angry. Half of what the model says of a person's neutral clips more or
        less often than of other people's is taken off, as odds, from what it says of that person's other clips.

        Args:
            clips: two or more recordings of the person speaking neutrally, each as for :meth:`predict`; one will do.

        Returns:
            The predictor for this person; the one it is called on stays as it is, for everyone else.

        Raises:
            AudioError: a clip cannot be read, or does not sound like speech.
            BundleError: the bundle does not tell the neutral voice from others.

        Examples:
            >>> mine = Predictor.from_preset().enroll(["me1.wav", "me2.wav"])  # doctest: +SKIP
            >>> mine.predict("clip.wav").emotion                               # doctest: +SKIP
            'happy'
        """
        usual = self.bundle.card.get("baseline")
        if not usual:
            raise BundleError(f"the card of this bundle has no baseline of {BASELINE} clips, so nobody can be enrolled")
        clips = list(clips)
        if not clips:
            raise AudioError(f"no clips to enroll; expected one or more of a {BASELINE} voice")
        observed = [self.observe(clip) for clip in clips]
        said = [np.mean([each.probabilities for each in windows], axis=0) for windows in observed]
        # Their samples, since the habit may differ in its last digits with the number of threads.
        sounds = sorted(each.sound for windows in observed for each in windows)
        usual = [usual[label] for label in self.bundle.labels]
        return self._for(_habit=habit(said, usual), _enrolled=sounds, _adaptation=None)

    def adapt(self, clips: Iterable[Source], *, watch: Callable[[float], object] | None = None) -> Predictor:
        """A predictor that is used to one person's voice, from clips of the person in whatever emotion, without labels.

        What the model says of these clips more or less often than of other people's is taken off, as odds, from what it
        says of the person's other clips: the more, the more clips there are and the more these differ in emotion. From
        clips that sound alike it learns nothing, since their emotion cannot be separated from the voice. ``adaptation``
        holds what was learned, and which clips could not be used.

        A predictor is adapted or enrolled (:meth:`enroll`), not both: each replaces the other. One that is adapted
        already goes on from there with the same person.

        Args:
            clips: of one person, each as for :meth:`predict`; ten or more are worth most. That they are of several is
                not noticed (``docs/results/unheard.md``). Of more than 200, 200 are taken evenly. One longer than 8 s counts as
                several, its windows of about 4 s.
            watch: called while the clips are read, with the share of them that is done;
                :class:`concurrent.futures.CancelledError`, raised there, ends the work.

        Returns:
            The predictor for this person; the one it is called on stays as it is, for everyone else.

        Raises:
            AudioError: fewer than two clips can be used; those that are silent, cannot be read or do not sound like
                speech are left out.
            BundleError: the bundle's card does not say how voices differ.

        Examples:
            >>> hers = Predictor.from_bundle("bundle").adapt(["ann1.wav", "ann2.wav", "ann3.wav"])  # doctest: +SKIP
            >>> hers.adaptation.clips, hers.adaptation.left_out                                     # doctest: +SKIP
            (3, ())
        """
        clips = spread(list(clips), MOST_CLIPS)
        known = self._known
        found: list[Observation] = []
        left_out: list[LeftOut] = []
        for place, clip in enumerate(clips):
            try:
                found += self.observe(clip, watch=watch and partial(report_part, watch, place, len(clips)))
            except (ForkedError, CancelledError):
                raise
            except Exception as error:  # whatever is wrong with one recording, the others can be used
                failure = Failure.of(_path(clip) or f"clip {place + 1}", error)
                left_out.append(LeftOut(failure.path, failure.error))
        one = self.used_to(spread(found, MOST_CLIPS), left_out)
        if one.adaptation.clips < 2 or one.adaptation.sounds == known.sounds:
            used = {each.sound for each in found} - {*known.sounds}
            reasons = "; ".join(reason for _, reason in left_out[:3])
            raise AudioError(
                f"{len(used)} of {len(clips)} clips can be used to adapt to a speaker; expected two different ones or "
                f"more, with speech in them{reasons and f' ({reasons})'}"
            )
        return one

    def observe(self, source: Source, *, watch: Callable[[float], object] | None = None) -> list[Observation]:
        """What a recording says of its speaker; :meth:`adapt` gathers it from several.

        Args:
            source: as for :meth:`predict`.
            watch: as for :meth:`predict`.

        Returns:
            One for a short recording, one for each window of a long one that holds speech, at most 200.

        Raises:
            AudioError: the recording cannot be read, or does not sound like speech.
        """
        _, pieces = self._heard(source, watch)
        found, against = [], []
        for _, piece in watched(spread(pieces, MOST_CLIPS), watch):
            judged = self.judge(piece)
            against = speech_check.against([judged.evidence])
            if not against:
                found.append(Observation.of(piece, judged))
        if not found:
            raise AudioError(f"{_path(source) or 'the recording'}: {_NO_SPEECH} ({', '.join(against)})")
        return found

    def used_to(self, observations: Sequence[Observation], left_out: Sequence[LeftOut] = ()) -> Predictor:
        """A predictor that has learned from further clips of its speaker: a step of :meth:`adapt`.

        Args:
            observations: of the clips; none or one are taken too, and say little.
            left_out: recordings that could not be used.

        Raises:
            BundleError: the bundle's card does not say how voices differ.
        """
        probabilities, sounds = zip(*observations, strict=True) if observations else ((), ())
        return self.with_adaptation(self._known.more(self.voices, probabilities, sounds, left_out))

    @property
    def _known(self) -> Adaptation:
        return self.adaptation or Adaptation.begin(self.bundle.identity, self.voices.labels)

    def with_adaptation(self, adaptation: Adaptation | None) -> Predictor:
        """A predictor with what was learned of a speaker before, in place of what this one knows of any.

        Args:
            adaptation: of this bundle, as :attr:`adaptation` or :meth:`ser_kit.bundles.adaptation.Adaptation.load` gives it;
                ``None`` for a predictor that is neither adapted nor enrolled.

        Raises:
            AdaptationError: it is of another bundle.
        """
        if adaptation is None:
            return self._for(_habit=np.zeros(len(self.bundle.labels)), _enrolled=[], _adaptation=None)
        if (adaptation.bundle, adaptation.labels) != (self.bundle.identity, self.bundle.labels):
            raise AdaptationError(
                f"the adaptation is of another bundle, for {', '.join(adaptation.labels)}; expected one made with this "
                f"bundle ({self.bundle.card['name']}, for {', '.join(self.bundle.labels)}): adapt anew"
            )
        return self._for(_habit=np.array(adaptation.offset), _enrolled=[], _adaptation=adaptation)

    @property
    def adaptation(self) -> Adaptation | None:
        """What it has learned of a speaker; ``None`` where it was not adapted."""
        return self._adaptation

    @cached_property
    def voices(self) -> Voices:
        """How voices differ for the bundle, beside emotions.

        Raises:
            BundleError: the bundle's card does not say so.
        """
        numbers = self.bundle.card.get("voices")
        if not numbers:
            raise BundleError(
                "the card of this bundle does not say how voices differ, so it cannot adapt to one; train the bundle "
                "again, with a protocol of unseen speakers"
            )
        return Voices.from_dict(numbers, self.bundle.labels)

    def _for(self, **known: Any) -> Predictor:
        """A copy for a speaker of whom this is known."""
        one = object.__new__(type(self))
        vars(one).update(vars(self), **known)
        vars(one).pop("identity", None)
        return one

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in vars(self).items() if name != "bundle"}
        if self.bundle.is_file:
            return kept | {"_packed": self.bundle}
        members = [(member.to_card(), member.model.get_weights()) for member in self.bundle.members]
        return kept | {"_packed": (self.bundle.card, members)}

    @cached_property
    def bundle(self) -> Bundle:
        """What it predicts with. After pickling the networks are built when they are needed, not while they are read:
        an error then would end a worker of ``multiprocessing.Pool`` in silence, and its pool would wait for ever."""
        if isinstance(self._packed, Bundle):
            return self._packed
        card, packed = self._packed
        members = tuple(Member.from_card(described, len(card["labels"])) for described, _ in packed)
        for member, (_, weights) in zip(members, packed, strict=True):
            member.model.set_weights(weights)
        return Bundle(card, members)

    @property
    def labels(self) -> tuple[str, ...]:
        """The emotions that it answers with."""
        return self.answers.labels

    @cached_property
    def identity(self) -> str:
        """A digest of all that decides about its answers: the bundle, the labels, and the clips of who was enrolled or
        adapted to."""
        known = None if self.adaptation is None else sorted(self.adaptation.sounds)
        described = [self.bundle.identity, self.bundle.card, self.answers.merged, self._enrolled, known]
        return hashlib.blake2b(json.dumps(described, sort_keys=True).encode(), digest_size=16).hexdigest()

    @cached_property
    def _functionals(self) -> Functionals:
        return next((e for e in self.bundle.extractors if type(e) is Functionals and not e.preprocess), Functionals())

    def predict(self, source: Source, *, watch: Callable[[float], object] | None = None) -> Prediction:
        """The emotion of one recording.

        A recording longer than 8 s is judged in windows of about 4 s; the answer is their mean, silent windows left
        out, each weighted by how much of it is voiced.

        Args:
            source: path, bytes, binary file object, ``(array, rate)`` or :class:`~ser_kit.audio.Recording`.
            watch: told while the recording is read, and before each window, which share of the windows is done; what it
                raises ends the work.

        Raises:
            AudioError: the recording cannot be read, is too short, or holds no sound; the message says which.
            ForkedError: TensorFlow has computed in the process that this one was forked from.
        """
        recording, pieces = self._heard(source, watch)
        heard = self._judged(pieces, watch)
        by_window, evidence, rows, *_, known = zip(*heard, strict=True)
        weights = voiced_shares(evidence)
        pooled = weights @ np.stack(by_window)  # a window that is alone has weight 1, and its answer is the recording's
        reason = self._doubt(pooled, evidence, rows, weights)
        return Prediction(
            **self.answers.named(pooled),
            covered=self.answers.covered(pooled),
            uncertain=bool(reason),
            reason=reason,
            segments=tuple(
                Segment(start, start + piece.duration, **self.answers.named(p))
                for (start, piece), p in zip(pieces, by_window, strict=True)
            ),
            duration=recording.duration,
            path=_path(source),
            rests_on=rests_on(self.bundle.card, set(known)),
        )

    def measure(self, source: Source, *, watch: Callable[[float], object] | None = None) -> dict[str, float]:
        """Acoustic features of one recording, to be held against those that the bundle's card calls typical.

        Args:
            source: as for :meth:`predict`.
            watch: as for :meth:`predict`.

        Returns:
            :class:`~ser_kit.features.Functionals`, name -> value. Those of a recording longer than 8 s are the means
            over the windows that :meth:`predict` judges, weighted alike; ``duration`` is the recording's own.

        Raises:
            AudioError: as for :meth:`predict`.

        Examples:
            >>> Predictor.from_preset().measure("clip.wav")["pitch_mean"]  # doctest: +SKIP
            187.2
        """
        recording, pieces = self._heard(source, watch)
        heard = [
            (speech_check.measure(piece.at(speech_check.RATE)), self._functionals.measure(piece)[0])
            for _, piece in watched(pieces, watch)
        ]
        evidence, rows = zip(*heard, strict=True)
        means = voiced_shares(evidence) @ np.stack(rows).astype(float)
        found = dict(zip(self._functionals.feature_names, means.tolist(), strict=True))
        return found | {"duration": recording.duration}

    def _heard(
        self, source: Source, watch: Callable[[float], object] | None
    ) -> tuple[Recording, list[tuple[float, Recording]]]:
        """A recording, and the windows of it that are not silent, with their beginnings in seconds."""
        with warnings.catch_warnings():
            # Silence is answered below, and a truncated file by what is there.
            warnings.simplefilter("ignore", SilentAudioWarning)
            recording = read_audio(source, rate=self.bundle.rate, watch=watch and partial(watch, 0.0))
        pieces = [(start, piece) for start, piece in cut(recording) if np.abs(piece.samples).max() > SILENT_PEAK]
        if not pieces:
            name, seconds = recording.name or "the recording", recording.duration
            if seconds < MIN_SECONDS:
                raise TooShortError(f"{name} lasts {seconds:.3f} s; expected {MIN_SECONDS} s or more")
            raise AudioError(f"{name} is silent; expected a recording with speech in it")
        return recording, pieces

    def _judged(
        self, pieces: Sequence[tuple[float, Recording]], watch: Callable[[float], object] | None
    ) -> Iterable[Judged]:
        """What is found in the windows, in order; several are worked on at a time, each by one core."""
        if len(pieces) == 1:
            return [self.judge(piece) for _, piece in watched(pieces, watch)]
        return ahead(lambda window: self.judge(window[1]), watched(pieces, watch), cores())

    def judge(self, piece: Recording) -> Judged:
        """What the networks say of one stretch of sound, and what was measured of it; :meth:`predict` says it plainly.

        One stretch at a time: its answer must not depend, not even in the last digit, on its neighbours.

        Args:
            piece: 0.1 s or more, at the bundle's rate, and not silent.
        """
        row = self._functionals.measure(piece)[0] if self._measures else None
        unadapted, places = self.bundle.answer(piece, {} if row is None else {self._functionals: row})
        sharpness, place = float(places.sharpness[0]), int(places.corpus[0])
        corpora = sorted(each["corpus"] for each in self.bundle.card.get("trained_on", ()))
        corpus = corpora[place] if 0 <= place < len(corpora) else ""
        said = self.adapted(unadapted, sharpness)
        return Judged(said, speech_check.measure(piece.at(speech_check.RATE)), row, unadapted, sharpness, corpus)

    def adapted(self, unadapted: np.ndarray, sharpness: float) -> np.ndarray:
        """Probabilities for the speaker who was enrolled or adapted to; the same where there is none.

        Args:
            unadapted: of :class:`Judged`.
            sharpness: likewise.
        """
        return without_habit(unadapted, sharpness * self._habit)

    @property
    def _measures(self) -> bool:
        """Whether an answer needs the functionals."""
        return self._functionals in self.bundle.extractors or self.bundle.card.get("strange_above") is not None

    def predict_many(self, sources: Iterable[Source], *, jobs: int = 1) -> Iterator[Prediction | Failure]:
        """Predictions one by one, in order, as they are ready; one that fails yields a :class:`Failure`.

        Args:
            sources: each as for :meth:`predict`; taken a few at a time.
            jobs: threads to work in, at most a few more than there are cores. The answers are the same.
        """

        def answer(source: Source) -> Prediction | Failure:
            try:
                return self.predict(source)
            except ForkedError:
                raise  # no recording is at fault, and none will have an answer
            except Exception as error:  # whatever is wrong with one recording, the others have their answers
                return Failure.of(_path(source), error)

        return map(answer, sources) if jobs == 1 else ahead(answer, sources, jobs)

    def _doubt(
        self,
        probabilities: np.ndarray,
        evidence: Sequence[speech_check.Evidence],
        rows: Sequence[np.ndarray | None],
        weights: np.ndarray,
    ) -> str:
        """Why an answer should not be relied on, or an empty string."""
        against = speech_check.against(evidence, weights)
        if against:
            return f"{_NO_SPEECH} ({', '.join(against)})"
        card = self.bundle.card
        strange_above = card.get("strange_above")
        if strange_above is not None:
            strange = weights @ strangeness(np.stack(rows), card["typical"]["all"])
            if strange.mean() > strange_above:
                names = [self._functionals.feature_names[column] for column in self._functionals.model_columns]
                farthest = ", ".join(names[i] for i in np.argsort(-strange)[:3])
                return f"it is unlike the recordings that the model learned from (most of all in {farthest})"
        if label := self.answers.beyond(probabilities):
            return BEYOND.format(label)
        if self.answers.shares(probabilities).max() < card["uncertain_below"]:
            likely = sorted(self.answers.named(probabilities)["probabilities"].items(), key=lambda each: -each[1])[:2]
            return f"no emotion stands out: {', '.join(f'{label} {100 * share:.0f} %' for label, share in likely)}"
        return ""


def _path(source: Source) -> str:
    """Where a recording came from, where that is a path at all."""
    if isinstance(source, Excerpt):
        return str(source)
    return os.fspath(source) if isinstance(source, str | os.PathLike) else ""
