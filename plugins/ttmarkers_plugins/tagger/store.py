"""A tagger on disk: ``tagger.json`` and ``weights.npz``, numbers and names only, so that loading runs no code."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from ttmarkers.errors import ConfigError
from ttmarkers.manifest import atomic, versions, write_json
from ttmarkers_plugins.tagger.encoder import Encoder
from ttmarkers_plugins.tagger.features import BITS, WEIGHTS, Features
from ttmarkers_plugins.tagger.heads import Head

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FACTS, NUMBERS = "tagger.json", "weights.npz"
FORM = 1
DAMAGE = (KeyError, ValueError, TypeError, AttributeError, IndexError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass
class Tagger:
    """The classifiers of several markers over the same features.

    Attributes:
        path: its folder.
        features: what the classifiers see.
        heads: marker -> classifier.
        reads: marker -> what of a row it is shown.
    """

    path: Path
    features: Features
    heads: dict[str, Head] = field(default_factory=dict)
    reads: dict[str, str] = field(default_factory=dict)


def save(tagger: Tagger, report: Mapping[str, Any]) -> None:
    """Write a tagger's folder; ``tagger.json`` comes last and says that the rest is whole."""
    import numpy

    arrays = {f"rarity.{name}": values for name, values in tagger.features.rarity.items()}
    for name, head in tagger.heads.items():
        arrays[f"{name}.data"], arrays[f"{name}.indices"] = head.weights.data, head.weights.indices
        arrays[f"{name}.indptr"], arrays[f"{name}.bias"] = head.weights.indptr, head.bias
    tagger.path.mkdir(parents=True, exist_ok=True)
    with atomic(tagger.path / NUMBERS) as stream:
        numpy.savez_compressed(stream, allow_pickle=False, **arrays)
    facts = {
        "form": FORM,
        "ttmarkers": versions()["ttmarkers"],
        "encoder": tagger.features.encoder.name if tagger.features.encoder else None,
        "markers": {
            name: {
                "values": head.values,
                "reads": tagger.reads[name],
                "sharpness": head.sharpness,
                "features": head.weights.shape[1],
            }
            for name, head in tagger.heads.items()
        },
        "held_out": report,
    }
    write_json(tagger.path / FACTS, facts)


def load(path: Path, batch_size: int, device: str | None) -> Tagger:
    """Read a tagger's folder.

    Raises:
        ConfigError: if it is not there, damaged, or of another version's form.
    """
    import numpy
    from scipy.sparse import csr_matrix

    try:
        facts = orjson.loads((path / FACTS).read_bytes())
        if facts["form"] != FORM:
            raise ConfigError(f"the tagger {path} has form {facts['form']}, this version reads {FORM}: train it anew")
        with (path / NUMBERS).open("rb") as stream, numpy.load(stream, allow_pickle=False) as numbers:
            rarity = {name: numbers[f"rarity.{name}"] for name in WEIGHTS}
            encoder = Encoder(facts["encoder"], batch_size, device) if facts["encoder"] else None
            tagger = Tagger(path, Features(rarity, encoder))
            for name, entry in facts["markers"].items():
                parts = tuple(numbers[f"{name}.{part}"] for part in ("data", "indices", "indptr"))
                weights = csr_matrix(parts, shape=(len(entry["values"]), entry["features"]))
                weights.check_format(full_check=True)  # or numbers that are no columns would be read as memory
                bias = numbers[f"{name}.bias"]
                tagger.heads[name] = Head(tuple(entry["values"]), weights, bias, float(entry["sharpness"]))
                tagger.reads[name] = entry["reads"]
            _check_widths(tagger)
    except OSError as error:
        raise ConfigError(f"{path} is no tagger ({error.strerror or error}): make one with ttm tagger train") from error
    except DAMAGE as error:
        raise ConfigError(f"the tagger {path} is damaged ({error}): train it anew") from error
    return tagger


def _check_widths(tagger: Tagger) -> None:
    if {values.shape for values in tagger.features.rarity.values()} != {(2**BITS,)}:
        raise ValueError("other words were counted")
    width = tagger.features.transform([""]).shape[1]
    if any(head.weights.shape[1] != width for head in tagger.heads.values()):
        raise ConfigError(f"the tagger {tagger.path} was trained with other embeddings: train it anew")
