"""The folder that a run leaves: config.json, log.jsonl (a line an epoch), metrics.json, weights.safetensors, figures.

Each file is complete whenever it is there: the log grows by whole lines, the others are renamed into place.
Read next: plots.py, for the figures.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def as_json(value: Any) -> Any:
    """The same with None in place of NaN and infinities, which JSON does not have."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {k: as_json(v) for k, v in value.items()}
    return [as_json(v) for v in value] if isinstance(value, (list, tuple)) else value


class RunFolder:
    """A folder for one run; what an earlier run left there under the same names is replaced."""

    def __init__(self, path: Path) -> None:
        """Make the folder. Raises OSError when it can't be written."""
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        for name in ("log.jsonl", "metrics.json", "weights.safetensors", "figure.svg", "figure.png"):
            (path / name).unlink(missing_ok=True)

    def write(self, name: str, value: Mapping[str, Any]) -> None:
        """Write NAME.json."""
        part = self.path / f"{name}.json.part"
        part.write_text(json.dumps(as_json(value), indent=2) + "\n")
        os.replace(part, self.path / f"{name}.json")

    def log(self, record: Mapping[str, Any]) -> None:
        """Append one line to log.jsonl."""
        with open(self.path / "log.jsonl", "a") as file:
            file.write(json.dumps(as_json(record)) + "\n")

    def save_weights(self, model: Any) -> None:
        """Write the model's state as weights.safetensors, with PyTorch's keys and layouts."""
        from safetensors.numpy import save_file

        state = {name: value.detach().numpy().copy() for name, value in model.state_dict().items()}
        part = self.path / "weights.safetensors.part"
        save_file(state, part)
        os.replace(part, self.path / "weights.safetensors")
