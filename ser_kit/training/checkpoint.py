"""Checkpoints: the training state is saved after each epoch, so that a stopped run resumes."""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path

import numpy as np

from ..core.errors import DamagedCheckpointWarning, TrainingError
from ..core.paths import write_whole
from .settings import Training


class State:
    """State of a training between epochs, in memory and (optionally) on disk."""

    def __init__(self, model, training: Training, folder, identity: str):
        self.model, self.training, self.identity = model, training, identity
        self.folder = Path(folder) if folder is not None else None
        self.history: list[dict] = []
        self.best_loss, self.best_weights, self.stale, self.stale_rate = np.inf, None, 0, 0
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            if (self.folder / "state.json").exists():
                self._read()

    @property
    def epoch(self) -> int:
        return len(self.history)

    @property
    def finished(self) -> bool:
        patience = self.training.patience
        return self.epoch >= self.training.epochs or (patience is not None and self.stale >= patience)

    def update(self, row: dict) -> None:
        """Add the results of an epoch: early stopping, learning rate, checkpoint."""
        self.history.append(row)
        better = row["val_loss"] < self.best_loss
        if better:
            self.best_loss, self.stale, self.stale_rate = row["val_loss"], 0, 0
        else:
            self.stale += 1
            self.stale_rate += 1
        if better or self.training.patience is None:
            self.best_weights = self.model.get_weights()
        if self.training.halve_after and self.stale_rate >= self.training.halve_after:
            self.model.optimizer.learning_rate = float(self.model.optimizer.learning_rate) / 2
            self.stale_rate = 0
        if self.folder is not None:
            self._write()

    @property
    def summary(self) -> str:
        """Results of the last epoch, for the progress bar."""
        last = self.history[-1]
        if np.isfinite(last["val_loss"]):
            return f"validation accuracy {last['val_accuracy']:.3f}, loss {last['val_loss']:.3f}"
        return f"accuracy {last['accuracy']:.3f}, loss {last['loss']:.3f}"

    def restore_best(self) -> None:
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)

    def _write(self) -> None:
        arrays = {f"variable_{i:04d}": np.asarray(v) for i, v in enumerate(self._variables())}
        arrays |= {f"best_{i:04d}": w for i, w in enumerate(self.best_weights or [])}
        state = {
            "identity": self.identity, "history": self.history, "best_loss": self.best_loss,
            "stale": self.stale, "stale_rate": self.stale_rate, "arrays": f"epoch_{self.epoch:04d}.npz",
        }  # fmt: skip
        packed = io.BytesIO()
        np.savez(packed, **arrays)
        # The JSON file names the file of arrays, which is written first, and is replaced atomically: a kill
        # or a power cut at any moment leaves a complete state.
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / state["arrays"], packed.getbuffer())
        write_whole(self.folder / "state.json", json.dumps(state).encode())
        for old in self.folder.glob("epoch_*.npz"):
            if old.name != state["arrays"]:
                old.unlink()

    def _read(self) -> None:
        variables = self._variables()
        try:
            state = json.loads((self.folder / "state.json").read_bytes())
            other = state["identity"] != self.identity
            if not other:
                history, best_loss = state["history"], float(state["best_loss"])
                stale, stale_rate = int(state["stale"]), int(state["stale_rate"])
                path = self.folder / state["arrays"]
                with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                    found = [arrays[f"variable_{i:04d}"] for i in range(len(variables))]
                    best = [arrays[name] for name in sorted(arrays.files) if name.startswith("best_")]
                for value, variable in zip([*found, *best], [*variables, *self.model.weights], strict=False):
                    if value.shape != tuple(variable.shape):
                        raise ValueError(
                            f"an array has shape {value.shape}, expected {tuple(variable.shape)}"
                        )
        except Exception as error:  # JSON, ZIP and NumPy raise many types for damaged files
            warnings.warn(
                f"{self.folder} holds a damaged checkpoint ({error}); the training starts again",
                DamagedCheckpointWarning,
                stacklevel=2,
            )
            return
        if other:
            raise TrainingError(
                f"{self.folder} holds the checkpoint of another run (other data, model, settings or seed); "
                "delete the folder to start again, or give another one"
            )
        self.history, self.best_loss, self.stale, self.stale_rate = history, best_loss, stale, stale_rate
        self.best_weights = best or None
        assign(variables, found)

    def _variables(self) -> list:
        # Model.variables includes the states of the dropout generators.
        return [*self.model.variables, *self.model.optimizer.variables]


def assign(variables, values) -> None:
    """Assign a value to each variable."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
