"""Upload and recording with Google Colab's own functions, for when its frame blocks those of the page."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable
from datetime import datetime

from ..core.errors import AudioError, SerKitError
from ..inference.prediction import Failure, Prediction
from ..inference.predictor import Predictor
from . import html
from .answer import work_out
from .controls import HERE, MOST_SECONDS
from .page import opened


def upload_in_colab(
    predictor: Predictor | None = None, preset: str | os.PathLike | None = None
) -> list[Prediction | Failure]:
    """Upload files with Google Colab's own button and show their answers, without widgets.

    Colab also saves the uploaded files in its working directory.

    Args:
        predictor: as for :class:`UploadWidget`.
        preset: as for :class:`UploadWidget`.

    Returns:
        One answer per file, in order; ``path`` is the file name.

    Raises:
        SerKitError: this is not Colab.
    """
    try:
        from google.colab import files
    except ImportError:
        raise _elsewhere("upload_in_colab") from None
    uploaded = files.upload()
    return _shown(predictor or opened(preset), uploaded.items())


def record_in_colab(
    predictor: Predictor | None = None, preset: str | os.PathLike | None = None
) -> Prediction | Failure:
    """Record from the microphone and show the answer; the cell waits for the recording.

    Args:
        predictor: as for :class:`UploadWidget`.
        preset: as for :class:`UploadWidget`.

    Returns:
        The answer.

    Raises:
        SerKitError: this is not Colab.
    """
    try:
        from google.colab import output
    except ImportError:
        raise _elsewhere("record_in_colab") from None
    content = base64.b64decode(output.eval_js(recording_script()))
    (answer,) = _shown(
        predictor or opened(preset), [(f"recording at {datetime.now():%H.%M.%S}.wav", content)]
    )
    return answer


def recording_script() -> str:
    """JavaScript with a record button; it evaluates to the promise of a WAV file in base64."""
    sound = (HERE / "sound.js").read_text(encoding="utf-8")
    return f"""new Promise((resolve) => {{
{sound}
const place = document.body.appendChild(document.createElement("div"));
recordButton(place, {MOST_SECONDS}, (content) => {{
  place.remove();
  let text = "";
  for (let at = 0; at < content.byteLength; at += 1) text += String.fromCharCode(content.getUint8(at));
  resolve(btoa(text));
}});
}})"""


def _elsewhere(name: str) -> SerKitError:
    return SerKitError(f"{name} works in Google Colab only; elsewhere use ser_kit.app.show()")


def _shown(
    predictor: Predictor, files: Iterable[tuple[str, bytes | AudioError]]
) -> list[Prediction | Failure]:
    from IPython.display import HTML, Audio, display

    display(HTML(html.style()))
    found = []
    for name, content in files:
        *_, answer = work_out(predictor, name, content)
        found.append(answer.result)
        parts = dict(answer.parts)
        player = parts.pop("player", None)
        if player:
            display(Audio(data=player))
        display(HTML(html.card(parts.values())))
    display(HTML(html.card([html.about(predictor.bundle)])))
    return found
