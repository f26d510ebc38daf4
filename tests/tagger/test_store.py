"""Folders of the tagger: what is saved is what is loaded, and damaged ones are refused without being run."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import numpy
import pytest

from ttmarkers.errors import ConfigError
from ttmarkers_plugins.tagger import store
from ttmarkers_plugins.tagger.distilled import DistilledExtractor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ttmarkers.annotation.tagging import TaggerJob


def test_a_tagger_is_the_same_once_it_is_loaded(job: TaggerJob, moods: Callable[..., list[dict[str, Any]]]) -> None:
    """Scores and probabilities, which sum to one."""
    saved: list[store.Tagger] = []

    def keep(tagger: store.Tagger, report: Mapping[str, Any]) -> None:
        saved.append(tagger)
        save(tagger, report)

    save = store.save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "save", keep)
        DistilledExtractor.train(job)
    loaded = store.load(job.output, 32, None)
    texts = [row["prompt"] for row in moods(20, seed=4)]
    chances = [tagger.heads["mood"].probabilities(tagger.features.transform(texts)) for tagger in (saved[0], loaded)]
    numpy.testing.assert_array_equal(*chances)
    numpy.testing.assert_allclose(chances[0].sum(1), 1, atol=1e-6)
    assert loaded.reads == {"mood": "prompt"}


def _facts(folder: Path, **changes: Any) -> None:
    facts = json.loads((folder / "tagger.json").read_text())
    (folder / "tagger.json").write_text(json.dumps({**facts, **changes}))


def _numbers(folder: Path, **changes: Any) -> None:
    with numpy.load(folder / "weights.npz") as numbers:
        arrays = {**dict(numbers), **changes}
    numpy.savez(folder / "weights.npz", **arrays)


def _cut(folder: Path) -> None:
    file = folder / "weights.npz"
    file.write_bytes(file.read_bytes()[:-100])


def _flip(folder: Path) -> None:
    file = folder / "weights.npz"
    content = bytearray(file.read_bytes())
    content[2000] ^= 255
    file.write_bytes(content)


def _pickle(folder: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
            return (folder / "run").mkdir, ()

    stream = io.BytesIO()
    numpy.save(stream, numpy.asarray([Bomb()], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(folder / "weights.npz", "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("mood.data.npy", stream.getvalue())


def _whole_pickle(folder: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
            return (folder / "run").mkdir, ()

    import pickle

    (folder / "weights.npz").write_bytes(pickle.dumps(Bomb()))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda folder: (folder / "tagger.json").unlink(), "is no tagger .No such file or directory.: make one with"),
        (lambda folder: (folder / "weights.npz").unlink(), "is no tagger .No such file or directory.: make one with"),
        (lambda folder: (folder / "tagger.json").write_bytes(b'{"form": 1'), "is damaged"),
        (lambda folder: (folder / "tagger.json").write_bytes(b"[1]"), "is damaged"),
        (lambda folder: _facts(folder, form=2), "has form 2, this version reads 1: train it anew"),
        (lambda folder: _facts(folder, markers=["mood"]), "is damaged"),
        (lambda folder: _facts(folder, markers={"mood": {"values": ["x"]}}), "is damaged"),
        (lambda folder: _facts(folder, markers={"task": {}}), "is damaged"),
        (lambda folder: (folder / "weights.npz").write_bytes(b""), "is damaged"),
        (lambda folder: (folder / "weights.npz").write_bytes(b"PK\x03\x04 and more"), "is damaged"),
        (_cut, "is damaged"),
        (_flip, "is damaged"),
        (lambda folder: _numbers(folder, **{"mood.indices": numpy.full(3, 10**8)}), "is damaged"),
        (lambda folder: _numbers(folder, **{"rarity.head": numpy.ones(3)}), "is damaged"),
        (_pickle, "is damaged .*allow_pickle"),
        (_whole_pickle, "is damaged .*allow_pickle"),
    ],
)
def test_damaged_folders(job: TaggerJob, harm: Callable[[Path], object], message: str) -> None:
    """Each is refused in one sentence, and nothing in them is run."""
    DistilledExtractor.train(job)
    harm(job.output)
    with pytest.raises(ConfigError, match=message) as raised:
        DistilledExtractor(str(job.output))
    assert str(job.output) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (job.output / "run").exists()


def test_columns_that_are_not_there(job: TaggerJob) -> None:
    """Numbers of columns out of range never reach the code that trusts them."""
    DistilledExtractor.train(job)
    with numpy.load(job.output / "weights.npz") as numbers:
        indices = numbers["mood.indices"].copy()
    indices[-1] = 2**30
    _numbers(job.output, **{"mood.indices": indices})
    with pytest.raises(ConfigError, match="is damaged"):
        DistilledExtractor(str(job.output))
