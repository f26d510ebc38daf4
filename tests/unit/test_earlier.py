"""An annotated file that is annotated once more: only what changed is found again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import distribution, greetings, read_rows, ttm_process, write_rows

if TYPE_CHECKING:
    from pathlib import Path

PLUGIN = '''
    """Two extractors that note what they are asked, the second on the first's word."""
    import os, pathlib
    from ttmarkers.components import ExtractorComponent, MarkerType
    from ttmarkers.hookspecs import hookimpl
    from ttmarkers.records import Found


    class Noted:
        def __init__(self, name="signs", step=1, speed=1, path=""):
            self.name, self.step = name, step

        def extract(self, batch):
            with pathlib.Path(os.environ["NOTED"]).open("a") as stream:
                stream.writelines(f"{self.name} {subject.example.id}\\n" for subject in batch)
            return [self.found(subject) for subject in batch]

        def found(self, subject):
            size = len(subject.example.completion)
            return {self.name: Found(size * self.step)} if size % 2 else {}


    @hookimpl
    def ttm_marker_types():
        yield MarkerType("signs", "Signs of the completion.", "int", minimum=0)
        yield MarkerType("marks", "Signs once more.", "int", minimum=0)


    @hookimpl
    def ttm_extractors():
        yield ExtractorComponent(
            "counter", "Counts.", "ttmarkers_noted:Noted", markers=("signs",), neutral=("speed",)
        )
        yield ExtractorComponent(
            "later", "Counts.", "ttmarkers_noted:Later", markers=("marks",), needs=("signs",)
        )


    class Later(Noted):
        def __init__(self):
            super().__init__("marks")
'''
MORE = "markers.options.counter="


@pytest.fixture
def first(tmp_path: Path, site: Path) -> Path:
    """An annotated file of 20 rows; the marker is not found in half of them."""
    distribution(site, "ttmarkers-noted", {"ttmarkers_noted": PLUGIN})
    source = write_rows(tmp_path / "rows.jsonl", greetings(20))
    done, asked = _annotate(site, source, tmp_path / "first.jsonl")
    assert (done, len(asked)) == (0, 40)
    return tmp_path / "first.jsonl"


def _annotate(site: Path, source: Path, output: Path, *more: str) -> tuple[int, list[str]]:
    """Annotate; return the exit code and what the extractors were asked."""
    log = output.with_suffix(".log")
    log.touch()
    words = ["annotate", source, "-o", output, "--markers", "signs,marks", *more]
    done = ttm_process(*words, site=site, NOTED=str(log))
    return done.code, log.read_text(encoding="utf-8").splitlines()


def test_nothing_changed(site: Path, first: Path, tmp_path: Path) -> None:
    """Nothing is found again, not even what was not found, and the bytes are the same."""
    code, asked = _annotate(site, first, tmp_path / "second.jsonl")
    assert (code, asked) == (0, [])
    assert (tmp_path / "second.jsonl").read_bytes() == first.read_bytes()


def test_neutral_option(site: Path, first: Path, tmp_path: Path) -> None:
    """An option that changes no result makes nothing stale."""
    assert _annotate(site, first, tmp_path / "second.jsonl", "--set", MORE + "{speed: 2}") == (0, [])


def test_changed_option(site: Path, first: Path, tmp_path: Path) -> None:
    """Another option makes its marker stale, and those that need it."""
    code, asked = _annotate(site, first, tmp_path / "second.jsonl", "--set", MORE + "{step: 2}")
    assert code == 0
    assert sorted({line.split()[0] for line in asked}) == ["marks", "signs"]
    assert len(asked) == 40
    before, after = read_rows(first), read_rows(tmp_path / "second.jsonl")
    for old, new in zip(before, after, strict=True):
        assert new["markers"].get("signs") == (old["markers"]["signs"] * 2 if "signs" in old["markers"] else None)


def test_other_version(site: Path, first: Path, tmp_path: Path) -> None:
    """Another version of the extractor's distribution makes its markers stale."""
    for folder in site.glob("*.dist-info"):
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: ttmarkers-noted\nVersion: 1.1\n")
    code, asked = _annotate(site, first, tmp_path / "second.jsonl")
    assert (code, len(asked)) == (0, 40)


def test_without_the_run_file(site: Path, first: Path, tmp_path: Path) -> None:
    """Without what the earlier run noted, its markers are the data set's own word; what is absent is looked for."""
    (tmp_path / "first.jsonl.run.json").unlink()
    code, asked = _annotate(site, first, tmp_path / "second.jsonl", "--set", MORE + "{step: 2}")
    missing = [row["id"] for row in read_rows(first) if "signs" not in row["markers"]]
    assert code == 0
    assert [line.removeprefix("signs ") for line in asked if line.startswith("signs")] == missing


def test_own_word_stays(site: Path, first: Path, tmp_path: Path) -> None:
    """What a person wrote into the file is no extractor's word and stays."""
    rows = read_rows(first)
    rows[0]["markers"]["signs"] = 7
    rows[0]["markers_meta"]["signs"] = {"confidence": 1.0, "source": "person"}
    write_rows(first, rows)
    _annotate(site, first, tmp_path / "second.jsonl", "--set", MORE + "{step: 2}")
    assert read_rows(tmp_path / "second.jsonl")[0]["markers"]["signs"] == 7


def test_another_file_under_the_same_name(site: Path, first: Path, tmp_path: Path) -> None:
    """An option that names a file makes its marker stale when another file stands there."""
    named = tmp_path / "named"
    named.write_text("one")
    words = ("--set", MORE + f"{{step: 2, name: signs, path: {named}}}")
    assert _annotate(site, first, tmp_path / "second.jsonl", *words)[0] == 0
    assert _annotate(site, tmp_path / "second.jsonl", tmp_path / "third.jsonl", *words) == (0, [])
    named.write_text("another")
    code, asked = _annotate(site, tmp_path / "third.jsonl", tmp_path / "fourth.jsonl", *words)
    assert (code, len(asked)) == (0, 40)


def test_marker_that_nothing_finds_today(site: Path, first: Path, tmp_path: Path) -> None:
    """A marker whose extractor is not in the config any more stays as it is."""
    output = tmp_path / "second.jsonl"
    code, asked = _annotate(site, first, output, "--set", "markers.extractors={signs: [], marks: []}")
    assert (code, asked) == (0, [])
    assert output.read_bytes() == first.read_bytes()
