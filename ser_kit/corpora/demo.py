"""The built-in demo corpus: synthetic speech, made on this machine on first use.

**No human voice is in it.** Praat's speech synthesiser (eSpeak NG, through Parselmouth) reads four sentences
whose words say nothing about an emotion, and rules from the literature give them the prosody of six. The
corpus exists so that every part of ser_kit runs without a download; a result on it says nothing about real
emotions.

Ten speakers differ in voice, accent, vocal-tract length, pitch, microphone level, room and background noise.
They also differ in how strongly they use each cue, and each has habits of its own for each emotion, the same
in every take: that is what a random split can learn by heart and a speaker-independent one cannot. Two takes
are never quite alike.

The rules (:data:`RULES`) follow what these sources agree on; where they do not (the pitch range of fear, for
one), a rule stays near neutral.

* Scherer, K. R. (2003). Vocal communication of emotion: A review of research paradigms. *Speech
  Communication* 40, 227-256. Anger, panic and joy raise pitch, its range, intensity and high-frequency energy
  and quicken speech; sadness does the opposite.
* Juslin, P. N. & Laukka, P. (2003). Communication of emotions in vocal expression and music performance:
  Different channels, same code? *Psychological Bulletin* 129, 770-814. Fear: high pitch that varies little,
  rising contour, irregular voice, low intensity short of panic. Sadness: low, slow, falling, soft, dull in
  spectrum.
* Banse, R. & Scherer, K. R. (1996). Acoustic profiles in vocal emotion expression. *Journal of Personality
  and Social Psychology* 70, 614-636. Profiles of 14 emotions by actors; disgust among the hardest to tell.
* Murray, I. R. & Arnott, J. L. (1993). Toward the simulation of emotion in synthetic speech. *Journal of the
  Acoustical Society of America* 93, 1097-1108. Disgust: much slower and lower, grumbled, wide downward
  terminal inflection. Fear: much faster, much higher, irregular voicing. Anger: tense, abrupt.
* Burkhardt, F. & Sendlmeier, W. F. (2000). Verification of acoustical correlates of emotional speech using
  formant-synthesis. *Proc. ISCA Workshop on Speech and Emotion*, 151-156. Joy: wider range, faster, formants
  raised by spread lips.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..audio.praat import praat
from ..core.paths import cache_folder, workshop
from .base import name_error, stem

if TYPE_CHECKING:
    import parselmouth

NAME = "demo"
SLUG = "ser-kit-demo"
LANGUAGE = "en"
LICENSE = "CC0-1.0 (synthetic speech, generated on this machine; no human voice)"
BIBTEX = """@misc{praat,
  author = {Boersma, Paul and Weenink, David},
  title  = {Praat: doing phonetics by computer},
  note   = {Computer program, https://www.praat.org; its built-in speech synthesiser is eSpeak NG}
}"""
VERSION = "2"
"""Of the generator. Raise it with any change that alters a sample, so that no old cache is taken for a new
corpus."""

RATE = 16000
_NATIVE_RATE = 22050  # of eSpeak
TAKES = 2
SENTENCES = {
    "s1": "The kettle is on the kitchen table.",
    "s2": "My brother bought seven green apples.",
    "s3": "We can meet at the station on Monday.",
    "s4": "Her car is parked behind the library.",
}


class Speaker(NamedTuple):
    """A synthetic speaker.

    Args:
        sex: ``"female"`` or ``"male"``.
        voice: eSpeak voice variant. Only those without pitch flutter will do: its phase runs on from one
            utterance to the next, so that a clip would depend on what was synthesised before it.
        accent: Praat's name of the eSpeak language. Not Scotland: its trilled r varies with what was
            synthesised before.
        formants: factor on all formant frequencies (1 / relative vocal-tract length).
        pitch: median of the neutral voice in Hz.
    """

    sex: str
    voice: str
    accent: str
    formants: float
    pitch: float


SPEAKERS = {
    "01": Speaker("female", "Denis", "English (America)", 1.17, 205.0),
    "02": Speaker("male", "Denis", "English (Great Britain)", 0.98, 112.0),
    "03": Speaker("female", "Michel", "English (Great Britain)", 1.14, 188.0),
    "04": Speaker("male", "Michel", "English (America)", 1.02, 126.0),
    "05": Speaker("female", "Storm", "English (West Midlands)", 1.20, 218.0),
    "06": Speaker("male", "Storm", "English (Great Britain)", 1.00, 104.0),
    "07": Speaker("female", "Denis", "English (Received Pronunciation)", 1.22, 228.0),
    "08": Speaker("male", "Storm", "English (Caribbean)", 0.95, 118.0),
    "09": Speaker("female", "Michel", "English (Lancaster)", 1.15, 196.0),
    "10": Speaker("male", "Denis", "English (Lancaster)", 1.05, 133.0),
}


class Cues(NamedTuple):
    """What distinguishes an utterance from the same one spoken neutrally; all zero is neutral.

    Args:
        pitch: median F0, semitones.
        range: F0 range, octaves (1 doubles every excursion from the median).
        slope: F0 trend from beginning to end, semitones.
        final: F0 glide over the last fifth, semitones.
        rate: speech rate, octaves (1 is twice as fast).
        level: intensity, dB.
        tilt: spectral tilt above 500 Hz, dB per octave (positive is brighter, tenser).
        breath: aspiration noise, dB (positive is breathier).
        jitter: cycle-to-cycle irregularity of the period, percentage points.
        shimmer: cycle-to-cycle irregularity of the amplitude, percentage points.
        formants: formant frequencies, per cent.
    """

    pitch: float
    range: float
    slope: float
    final: float
    rate: float
    level: float
    tilt: float
    breath: float
    jitter: float
    shimmer: float
    formants: float


RULES = {
    "neutral": Cues(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    "happy": Cues(5.0, 0.9, 1.0, 1.5, 0.12, 2.5, 0.5, 0, 0, 0, 5),
    "sad": Cues(-1.5, -0.7, -2.0, -0.5, -0.30, -5.0, -2.0, 6, 0.5, 2, -1),
    "angry": Cues(3.0, 0.5, -2.0, -1.0, 0.18, 7.0, 2.5, -3, 0.4, 3, 2),
    "fear": Cues(6.5, -0.1, 1.5, 1.0, 0.30, 0, 0.5, 4, 1.0, 3, 1),
    "disgust": Cues(-2.0, 0.2, -1.0, -3.5, -0.30, -1.5, 0.3, -1, 1.2, 4, -2),
}
"""Emotion -> what it does to each cue, for a speaker of average expressivity."""

_HABIT = Cues(0.4, 0.10, 0.3, 0.3, 0.03, 0.6, 0.25, 0.8, 0.12, 0.6, 0.4)
"""Standard deviation over speakers of a cue within one emotion: a speaker's own way of being angry."""
_TAKE = Cues(1.2, 0.28, 0.9, 0.9, 0.08, 1.4, 0.5, 1.7, 0.3, 1.4, 0.8)
"""Standard deviation of a cue from take to take."""
_EXPRESSIVITY = 0.2
"""Standard deviation over speakers of the logarithm of the factor on each cue."""

EXPECTED = {emotion: len(SPEAKERS) * len(SENTENCES) * TAKES for emotion in RULES}
KNOWN_BAD: dict[str, str] = {}

_NAME = re.compile(rf"({'|'.join(SPEAKERS)})_({'|'.join(RULES)})_({'|'.join(SENTENCES)})_t([1-{TAKES}])")


def index() -> list[str]:
    """Names of all clips, in order: speaker, emotion, sentence, take."""
    return [
        f"{speaker}_{emotion}_{text}_t{take}"
        for speaker in SPEAKERS
        for emotion in RULES
        for text in SENTENCES
        for take in range(1, TAKES + 1)
    ]


def parse(filename: str) -> dict[str, str]:
    """Fields read from a file name; ``native_emotion`` says that the emotion is synthetic.

    Args:
        filename: such as ``"03_angry_s2_t1.wav"``; folders before it and the suffix do not matter.

    Raises:
        FileNameError: no clip of this corpus has that name.

    Examples:
        >>> parse("03_angry_s2_t1.wav")["speaker"]
        'demo:03'
    """
    speaker, emotion, text, take = _fields(filename)
    return {
        "clip_id": f"{NAME}:{speaker}_{emotion}_{text}_t{take}",
        "speaker": f"{NAME}:{speaker}",
        "sex": SPEAKERS[speaker].sex,
        "emotion": emotion,
        "native_emotion": f"{emotion} (synthetic)",
        "intensity": "",
        "text_id": text,
        "language": LANGUAGE,
    }


def _fields(name: str) -> tuple[str, ...]:
    found = _NAME.fullmatch(stem(name))
    if not found:
        why = (
            f"it should be a speaker from {min(SPEAKERS)} to {max(SPEAKERS)}, one of {', '.join(RULES)}, "
            f"one of {', '.join(SENTENCES)}, and a take from t1 to t{TAKES}"
        )
        raise name_error(NAME, name, why, "03_angry_s2_t1.wav")
    return found.groups()


def synthesise_clip(name: str) -> np.ndarray:
    """Synthesise one clip; the same name always gives the same samples, whatever was synthesised before.

    Args:
        name: one of :func:`index`.

    Returns:
        int16 samples ``[n]`` at 16 kHz, about 1.3 to 3 s.

    Raises:
        FileNameError: no clip of this corpus has that name.

    Examples:
        >>> synthesise_clip("03_angry_s2_t1").dtype
        dtype('int16')
    """
    name_of_speaker, emotion, text, take = _fields(name)
    speaker, number = SPEAKERS[name_of_speaker], int(name_of_speaker)
    habit_key = [
        number,
        1 + list(RULES).index(emotion),
    ]  # from 1: a seed that ends in 0 equals the one without it
    of_speaker, of_habit, of_take = (
        np.random.default_rng(key)
        for key in ([number], habit_key, [*habit_key, 1 + list(SENTENCES).index(text), int(take)])
    )
    room = _Room.draw(of_speaker)
    size = len(Cues._fields)
    cues = Cues(
        *(
            np.array(RULES[emotion]) * np.exp(_EXPRESSIVITY * _bounded_normal(of_speaker, size))
            + np.array(_HABIT) * _bounded_normal(of_habit, size)
            + np.array(_TAKE) * _bounded_normal(of_take, size)
        )
    )
    voice = _colour(_speak(speaker, SENTENCES[text], cues, of_take), cues, of_take)
    return np.round(32767 * room.record(voice, cues.level, of_take)).astype(np.int16)


def fetch() -> Path:
    """The folder that holds the corpus, synthesised now if it is not there yet.

    It lies in ``$SER_KIT_CACHE``, or else in the platform's cache folder. It appears whole or not at all: an
    interruption leaves nothing behind, and two processes that synthesise at once do each other no harm.

    Returns:
        Folder with one WAV file per clip (mono, 16 bit, 16 kHz) and a README.txt.
    """
    cache = cache_folder()
    folder = cache / f"{SLUG}-v{VERSION}"
    if folder.is_dir():
        return folder
    with workshop(cache, _WORKSHOP) as unfinished:
        corpus = unfinished / folder.name
        corpus.mkdir()
        (corpus / "README.txt").write_text(_README, encoding="utf-8")
        _synthesise_into(corpus)
        try:
            corpus.rename(folder)
        except OSError:
            if not folder.is_dir():  # otherwise another process has put the same corpus there
                raise
    return folder


_WORKSHOP = f".{SLUG}-"
_README = f"""SYNTHETIC SPEECH. No human voice is in these recordings, and no real emotion.

Made by ser_kit's demo corpus, version {VERSION}: Praat's speech synthesiser, with the prosody of \
{len(RULES)} emotions
put on by rule. {len(index())} clips, {len(SPEAKERS)} synthetic speakers, mono, 16 bit, {RATE} Hz.
File names: SPEAKER_EMOTION_SENTENCE_TAKE.wav
Licence: {LICENSE}

""" + "".join(f"{name}: {sentence}\n" for name, sentence in SENTENCES.items())


def _synthesise_into(folder: Path) -> None:
    from joblib import Parallel, cpu_count, delayed
    from tqdm.auto import tqdm

    # Processes, because Praat is not thread-safe; joblib's, because they neither fork a parent that may hold
    # TensorFlow nor import the user's script again.
    work = Parallel(n_jobs=max(2, cpu_count()), return_as="generator_unordered", batch_size=8)
    written = work(delayed(_write_clip)(folder, name) for name in index())
    for _ in tqdm(written, total=len(index()), desc="Synthesising the demo corpus", unit="clip"):
        pass


def _write_clip(folder: Path, name: str) -> None:
    import soundfile

    with soundfile.SoundFile(folder / f"{name}.wav", "w", RATE, 1, "PCM_16") as file:
        file.comment = "synthetic speech (ser_kit demo corpus)"
        file.write(synthesise_clip(name))


def _bounded_normal(rng: np.random.Generator, n: int) -> np.ndarray:
    """Standard normal, but never so far out that a voice would break."""
    return np.clip(rng.standard_normal(n), -2, 2)


class _Voiced(NamedTuple):
    """Clean speech ``[n]`` at 16 kHz and its F0 in Hz at every sample."""

    samples: np.ndarray
    f0: np.ndarray


def _speak(speaker: Speaker, sentence: str, cues: Cues, rng: np.random.Generator) -> _Voiced:
    """Everything that pitch, time and formants need: eSpeak, a shift of the sampling rate, and PSOLA."""
    import soxr

    parselmouth = praat("making the demo corpus")
    call = parselmouth.praat.call
    # Replaying at another rate moves formants, pitch and tempo.
    stretch = speaker.formants * (1 + cues.formants / 100)
    median = speaker.pitch * 2 ** (cues.pitch / 12)
    # Near the target, so that PSOLA has little to do.
    native_pitch = float(np.clip(median / stretch, 50, 200))
    words_per_minute = round(205 * 2**cues.rate / stretch)
    _say("English (America)", "Denis", _RINSE, 1.0, 450)
    sound = _say(speaker.accent, speaker.voice, sentence, native_pitch / 100, words_per_minute)
    call(sound, "Override sampling frequency", _NATIVE_RATE * stretch)

    floor, ceiling = 0.6 * native_pitch * stretch, 2.0 * native_pitch * stretch
    pitch = sound.to_pitch_ac(0.01, floor, pitch_ceiling=ceiling)
    times, f0 = pitch.xs(), pitch.selected_array["frequency"]
    times, f0 = times[f0 > 0], f0[f0 > 0]
    contour = 12 * np.log2(f0 / np.median(f0)) * 2**cues.range
    progress = (times - times[0]) / (times[-1] - times[0])
    contour += cues.slope * (progress - 0.5) + cues.final * np.clip(5 * progress - 4, 0, 1)
    contour += np.interp(
        times, times[:: len(times) // 6], 0.5 * rng.standard_normal(len(times[:: len(times) // 6]))
    )
    target = np.clip(median * 2 ** (np.clip(contour, -12, 12) / 12), 65, 480)

    pulses = np.arange(times[0], times[-1], 1 / median)
    irregular = 1 + max(0.3 + cues.jitter, 0.1) / 100 * rng.standard_normal(len(pulses))
    wanted = parselmouth.Sound(np.interp(pulses, times, target) * irregular, median, times[0] - 0.5 / median)
    tier = call(call(call(wanted, "Down to Matrix"), "To Pitch"), "Down to PitchTier")  # "Add point" is slow
    manipulation = call([sound, pitch], "To Manipulation")
    call([tier, manipulation], "Replace pitch tier")
    spoken = call(manipulation, "Get resynthesis (overlap-add)")
    samples = soxr.resample(spoken.values[0], spoken.sampling_frequency, RATE)
    audible = np.flatnonzero(np.abs(samples) > 0.01 * np.abs(samples).max())
    kept = slice(audible[0], audible[-1] + 1)
    return _Voiced(samples[kept], np.interp(np.arange(len(samples)) / RATE, times, target)[kept])


_RINSE = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
)
"""Synthesised, and thrown away, before each sentence: eSpeak reads what is left in its memory of the sentence
before, so that this has to be the same for all, and longer than any of them."""


def _say(accent: str, voice: str, text: str, pitch: float, words_per_minute: int) -> parselmouth.Sound:
    call = praat("making the demo corpus").praat.call
    synthesiser = call("Create SpeechSynthesizer", accent, voice)
    call(synthesiser, "Speech output settings", _NATIVE_RATE, 0.01, pitch, 1.0, words_per_minute, "IPA")
    return call(synthesiser, "To Sound", text, "no")[0]


def _colour(voice: _Voiced, cues: Cues, rng: np.random.Generator) -> np.ndarray:
    """Voice quality: shimmer, aspiration noise and spectral tilt."""
    samples, f0 = voice
    cycle = np.cumsum(f0) / RATE
    gains = 1 + max(2 + cues.shimmer, 0.5) / 100 * rng.standard_normal(int(cycle[-1]) + 2)
    samples = samples * np.interp(cycle, np.arange(len(gains)), gains)

    window = np.hanning(RATE // 50)
    envelope = np.sqrt(np.convolve(samples**2, window / window.sum(), mode="same").clip(0))
    aspiration = envelope * _filtered(rng.standard_normal(len(samples)), lambda hz: hz / (hz + 2000))
    samples = samples + 10 ** ((-26 + cues.breath) / 20) * aspiration
    return _filtered(samples, lambda hz: (np.maximum(hz, 500) / 500) ** (cues.tilt / (20 * np.log10(2))))


def _filtered(samples: np.ndarray, gain) -> np.ndarray:
    """Samples with the gain (a function of Hz) on their spectrum."""
    size = 2 ** (len(samples) - 1).bit_length()
    return np.fft.irfft(np.fft.rfft(samples, size) * gain(np.fft.rfftfreq(size, 1 / RATE)), size)[
        : len(samples)
    ]


@dataclass(frozen=True)
class _Room:
    """Where a speaker was "recorded": microphone level (dBFS), reverberation and background noise (dBFS)."""

    level: float
    noise: float
    response: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _Room:
        seconds, direct_to_reverberant = rng.uniform(0.10, 0.25), rng.uniform(12, 20)
        tail = rng.standard_normal(int(seconds * RATE)) * 10 ** (-3 * np.linspace(0, 1, int(seconds * RATE)))
        response = tail * 10 ** (-direct_to_reverberant / 20) / np.linalg.norm(tail)
        response[0] = 1
        return cls(level=rng.uniform(-28, -26), noise=rng.uniform(-68, -60), response=response)

    def record(self, voice: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
        before, after = (rng.uniform(0.08, 0.25, 2) * RATE).astype(int)
        voice = voice / np.sqrt(np.mean(voice**2)) * 10 ** ((self.level + level) / 20)
        voice = np.pad(voice, (before, after))
        size = 2 ** (len(voice) + len(self.response)).bit_length()
        wet = np.fft.irfft(np.fft.rfft(voice, size) * np.fft.rfft(self.response, size), size)[: len(voice)]
        hiss = _filtered(rng.standard_normal(len(voice)), lambda hz: (np.maximum(hz, 50) / 1000) ** -0.5)
        samples = wet + hiss / np.std(hiss) * 10 ** (self.noise / 20)
        return samples / max(1.0, np.abs(samples).max() / 0.99)
