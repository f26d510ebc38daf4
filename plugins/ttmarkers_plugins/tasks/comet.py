"""COMET scores of translations, by the program ``comet-score`` of unbabel-comet (Rei et al. 2020, arXiv 2009.09025).

The package wants transformers 4 and numpy 1, so it cannot be installed beside ttmarkers: it is run as a program from an
environment of its own.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from ttmarkers.errors import ConfigError, StoppedError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Comet:
    """Scores translations with a model of COMET.

    Args:
        model: its name on the Hub, or a file.
        command: the program.
        where: how the user named the model, for messages.

    Raises:
        ConfigError: if there is no such program.
    """

    def __init__(self, model: str, command: str, *, where: str) -> None:
        found = shutil.which(command)
        if found is None:
            raise ConfigError(
                f"{where} = {model!r} needs the program {command}: install it in an environment of its own "
                "(pipx install unbabel-comet), or name it by comet_command"
            )
        self._program, self._model = found, model

    def scores(self, texts: Sequence[tuple[str, str, str]]) -> list[float]:
        """Return the score of each source, translation and reference.

        Raises:
            StoppedError: if the program fails.
        """
        if not texts:
            return []
        with tempfile.TemporaryDirectory(prefix="ttmarkers-comet-") as folder:
            names = [str(Path(folder) / name) for name in ("source", "translation", "reference")]
            for name, column in zip(names, zip(*texts, strict=True), strict=True):
                lines = [" ".join(text.split()) for text in column]  # the program reads a text a line
                Path(name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
            output = Path(folder) / "scores.json"
            files = [word for pair in zip(("-s", "-t", "-r"), names, strict=True) for word in pair]
            words = [*files, "--model", self._model, "--to_json", str(output), "--quiet", "--only_system"]
            done = subprocess.run([self._program, *words], capture_output=True, text=True, check=False)
            if done.returncode or not output.is_file():
                last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
                raise StoppedError(f"{self._program} with {self._model} failed ({done.returncode}): {last}")
            (rows,) = orjson.loads(output.read_bytes()).values()
        found = [float(row["COMET"]) for row in rows]
        if len(found) != len(texts):
            raise StoppedError(f"{self._program} scored {len(found)} of {len(texts)} translations")
        return found
