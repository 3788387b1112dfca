"""A page without a server: a folder of files that answers recordings in the browser.

It holds the bundle's ``model.onnx``, the check for speech as a network of its own, ONNX Runtime Web, and a
script that does what :class:`~ser_kit.inference.predictor.Predictor` does around them. Recordings are not
sent anywhere.

Examples:
    >>> from ser_kit.app.site import write_site
    >>> write_site("cross_corpus", "site")                        # doctest: +SKIP
    PosixPath('site')
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ..audio.recording import MIN_SECONDS, SILENT_PEAK, read_audio
from ..bundles.bundle import BASELINE, Bundle
from ..bundles.presets import bundle_path
from ..bundles.runtime import encoder_weights
from ..core.errors import ExportError
from ..core.labels import colours
from ..core.paths import cache_folder, put, replaceable, workshop
from ..corpora import demo
from ..inference import explaining, speech_check
from ..inference.answers import NO_SPEECH, rests_on, sure_from
from ..inference.pieces import LONG_SECONDS, WINDOW_SECONDS
from ..inference.prediction import EVEN
from . import html
from .answer import ACCEPTED, wav
from .controls import HERE, MOST_SECONDS

VERSION = "1.30.0"
"""Version of ONNX Runtime Web."""
PACKAGE = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
PACKAGE_SHA512 = (
    "ab4cbe26baedba45d2cec05610c71c55fa97db92d19a8b171c5f8269126683ca"
    "590a5cdc57bb2f35ce2b298de32f4d956fb42644c0ecd528a0a91e025c07ca61"
)
RUNTIME = {"script": "ort.wasm.bundle.min.mjs", "wasm": "ort-wasm-simd-threaded.wasm"}
"""The files of ONNX Runtime Web that the page needs."""
DIGESTS = {
    "script": "sha384-PLWz+nHEVHpjwBsO0YVdvQj6n5814Iv8E3b8FG0Rp/uIAtjFMCKOpP66iPzedrIG",
    "wasm": "sha384-vjBJ1z7qrhkTyYsNqKeF6c7N+nOJSU94czEo+tvZcu8G75JparGq9kB+kTnEUNVM",
}
"""Their digests, which the browser checks what comes from the network against."""
CDN = f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{VERSION}/dist/"
EXAMPLES = {
    "Angry": "01_angry_s1_t1.wav",
    "Sad": "02_sad_s1_t1.wav",
    "Happy": "03_happy_s1_t1.wav",
}
"""Name of an example -> file name of a clip of the synthetic corpus."""
OWN = frozenset(
    {"index.html", "page.js", "style.css", "model.onnx", "speech_check.onnx", "runtime", "examples"}
)
"""Names in the folder."""


def write_site(
    name: str | os.PathLike,
    out: str | os.PathLike,
    *,
    runtime: str | os.PathLike | None = None,
    cdn: bool = False,
) -> Path:
    """Write a page that answers recordings in the browser, as a folder for any web server.

    Args:
        name: name of a preset or folder of a bundle.
        out: the folder; it is replaced if it is such a page.
        runtime: folder with the files of the npm package ``onnxruntime-web``; by default they are fetched
            from the npm registry, and kept in the cache folder.
        cdn: whether visitors load ONNX Runtime Web from a content delivery network, where its files are
            checked against their digests. Only they go through it, no recordings.

    Returns:
        The folder.

    Raises:
        ExportError: the bundle cannot answer in a browser, the folder holds other files, or ONNX Runtime Web
            cannot be had.
        BundleError: ``name`` is no bundle.
    """
    place = replaceable(out)
    others = sorted({each.name for each in place.iterdir()} - OWN) if place.is_dir() else []
    if others or (place.exists() and not place.is_dir()):
        raise ExportError(f"{out} {f'holds {others[0]}' if others else 'is a file'}; choose a new folder")
    bundle = Bundle.load(bundle_path(name))
    model = _model(bundle)
    files = {} if cdn else runtime_files(runtime)
    with workshop(place.parent, ".saving-") as folder:
        made = folder / place.name
        (made / "examples").mkdir(parents=True)
        listed = {}
        for key, file, content in (
            ("model", "model.onnx", model),
            ("check", "speech_check.onnx", (HERE / "speech_check.onnx").read_bytes()),
        ):
            (made / file).write_bytes(content)
            listed[key] = _listed(file, content)
        for key, content in files.items():
            (made / "runtime").mkdir(exist_ok=True)
            (made / "runtime" / RUNTIME[key]).write_bytes(content)
            listed[key] = _listed(f"runtime/{RUNTIME[key]}", content)
        if cdn:
            listed |= {key: {"address": CDN + RUNTIME[key], "integrity": DIGESTS[key]} for key in RUNTIME}
        for clip in EXAMPLES.values():
            sound = read_audio((demo.synthesise_clip(clip), demo.RATE))
            (made / "examples" / clip).write_bytes(wav(sound))
        for target, parts in _SHARED.items():
            text = "\n".join((HERE / part).read_text(encoding="utf-8") for part in parts)
            (made / target).write_text(text, encoding="utf-8")
        (made / "index.html").write_text(_index(bundle, listed, cdn), encoding="utf-8")
        put(made, place)
    return Path(out)


_SCRIPTS = ("decoding", "explain", "cards", "compare", "live", "web")
_SHARED = {
    "page.js": ("web/engine.js", "sound.js", "play.js", *(f"web/{part}.js" for part in _SCRIPTS)),
    "style.css": ("page.css", "web/web.css"),
}


def _model(bundle: Bundle) -> bytes:
    """``model.onnx`` with all its weights."""
    card = bundle.card
    if bundle.runtime is None:
        reason = card.get("runtime", {}).get("none_since") or "ser-kit export --format bundle adds it"
        raise ExportError(f"{card['name']} has no model.onnx, which a page needs: {reason}")
    if card.get("strange_above") is not None:
        raise ExportError(f"{card['name']} needs features of Praat, which a browser cannot compute")
    encoder = bundle.runtime.facts.get("encoder")
    return b"".join([bundle.runtime.content, *(encoder_weights(encoder) if encoder else ())])


@contextmanager
def served(folder: str | os.PathLike, port: int = 0) -> Iterator[str]:
    """Serve a folder to browsers of this machine, until the end of the block.

    Args:
        folder: the folder.
        port: its port; 0 for any that is free.

    Yields:
        The address.

    Raises:
        OSError: the port is used already.
    """

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), partial(Quiet, directory=os.fspath(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://localhost:{server.server_port}/"
        finally:
            server.shutdown()


def runtime_files(folder: str | os.PathLike | None = None) -> dict[str, bytes]:
    """The files of ONNX Runtime Web: from a folder, the cache, or the npm registry.

    Args:
        folder: a folder with the files, or an unpacked npm package.

    Raises:
        ExportError: they are not there, or cannot be fetched.
    """
    if folder is not None:
        places = [Path(folder, *sub) for sub in ((), ("dist",), ("package", "dist"))]
        found = next(
            (place for place in places if all((place / file).is_file() for file in RUNTIME.values())), None
        )
        if found is None:
            raise ExportError(
                f"{folder} does not hold {' and '.join(RUNTIME.values())}; expected the npm package "
                f"onnxruntime-web {VERSION}"
            )
        return {key: (found / file).read_bytes() for key, file in RUNTIME.items()}
    import pooch

    settings = {"path": cache_folder(), "fname": PACKAGE.rpartition("/")[2], "progressbar": False}
    try:
        package = pooch.retrieve(PACKAGE, f"sha512:{PACKAGE_SHA512}", **settings)
    except Exception as error:  # requests has many
        raise ExportError(
            f"ONNX Runtime Web cannot be fetched from the npm registry ({type(error).__name__}): give a "
            "folder with the npm package by --runtime, made elsewhere by "
            f"npm pack onnxruntime-web@{VERSION}, or let visitors load it by --cdn"
        ) from None
    with tarfile.open(package) as archive:
        return {key: archive.extractfile(f"package/dist/{file}").read() for key, file in RUNTIME.items()}


def _listed(address: str, content: bytes) -> dict[str, str]:
    digest = base64.b64encode(hashlib.sha384(content).digest()).decode()
    return {"address": address, "integrity": f"sha384-{digest}"}


def _index(bundle: Bundle, files: dict[str, dict[str, str]], cdn: bool) -> str:
    text = json.dumps(_config(bundle) | {"files": files}, ensure_ascii=False, allow_nan=False)
    network = f" {CDN}" if cdn else ""
    policy = (
        "default-src 'none'; script-src 'self' blob: 'wasm-unsafe-eval'; worker-src blob:; "
        f"connect-src 'self' blob:{network}; style-src 'self' 'unsafe-inline'; img-src data:; media-src blob:"
    )
    template = Markup((HERE / "web" / "index.html").read_text(encoding="utf-8"))
    return template.format(
        policy=policy, accept=ACCEPTED, about=html.about(bundle), config=Markup(text.replace("<", "\\u003c"))
    )


def _config(bundle: Bundle) -> dict[str, Any]:
    """What the page's script needs to know."""
    card, check = bundle.card, speech_check
    usual = card["typical"].get(BASELINE, {})
    known = sorted(each["corpus"] for each in card.get("trained_on", ()))
    sure = sure_from(card)
    return {
        "labels": list(bundle.labels),
        "rate": bundle.rate,
        # As in ser_kit.bundles.runtime.
        "optimized": "basic" if bundle.runtime.facts.get("encoder") else "all",
        "shortest": MIN_SECONDS,
        "silent": SILENT_PEAK,
        "long": LONG_SECONDS,
        "window": WINDOW_SECONDS,
        "uncertainBelow": card["uncertain_below"],
        "sureFrom": sure if math.isfinite(sure) else None,
        "even": EVEN,
        "corpora": known,
        "rests": rests_on(card, set()),
        "noSpeech": NO_SPEECH,
        "checkRate": check.RATE,
        "check": {
            "floors": list(check.FLOORS.values()),
            "semitones": check.SEMITONES,
            "fewest": check.FEWEST_STEPS,
            "held": check.HELD_SHARE,
            "gliding": check.GLIDING_SHARE,
            "glidingVoiced": check.GLIDING_VOICED,
        },
        "neutral": {
            name: [scale * number for number in usual[name]]
            for name, scale in (("pitch_mean", 1), ("pitch_variation", 1), ("voiced_ratio", 100))
            if name in usual
        },
        "colours": colours(bundle.labels),
        "knownFor": html.known_for(card),
        "mostSeconds": MOST_SECONDS,
        "bands": list(explaining.BANDS),
        "stretch": explaining.STRETCH_SECONDS,
        "mostStretches": explaining.MOST_STRETCHES,
        "examples": [{"name": name, "address": f"examples/{clip}"} for name, clip in EXAMPLES.items()],
    }
