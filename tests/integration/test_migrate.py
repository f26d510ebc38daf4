"""A model of an older taxonomy, migrated: asked, read, measured and trained further in today's words."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from support import ok, read_rows, sentence, train, ttm, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOMAINS = ("Legal", "Sciences", "Medical")
CHANGES = (
    "markers: {types: {domain: {rename: {Legal: Law}, split: {Sciences: [Biology, Physics]}, add: [Robotics]},"
    " mood: {values: [happy, sad]}}}\n"
)
CHOICES = {"Law": "Legal", "Biology": "Sciences", "Physics": "Sciences", "Medical": "Medical", "Sciences": "Sciences"}
WORDS = ("--set", "decode.max_new_tokens=6")


def _rows(words: tuple[str, ...], number: int = 60) -> Iterator[dict[str, Any]]:
    for n in range(number):
        word = words[n % len(words)]
        text = {"id": f"r{n}", "prompt": f"Tell me of {word}, number {n % 7}.", "completion": f"It is {word}, yes."}
        yield {**text, "markers": {"domain": word, "length_tokens": 6}}


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the taxonomy as it was."""
    folder = tmp_path_factory.mktemp("migrate")
    return train(write_rows(folder / "marked.jsonl", _rows(DOMAINS)), folder / "old")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The taxonomy as it is today."""
    path = tmp_path_factory.mktemp("today") / "c.yaml"
    path.write_text(CHANGES, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def new(old: Path, config: Path) -> Path:
    """The model, migrated."""
    output = old.parent / "new"
    assert ok(ttm("-c", config, "checkpoint", "migrate", old, "-o", output)).err == f"the model is {output}\n"
    return output


def _asked(model: Path, *words: object) -> dict[str, Any]:
    found: dict[str, Any] = ok(ttm("generate", model, "Tell me.", "--json", *WORDS, *words)).json()
    return found


def _written(raw: str) -> str:
    """Return the domain that the raw text says."""
    return raw.partition("<domain> ")[2].partition(" </domain>")[0]


def test_files(old: Path, new: Path) -> None:
    """The new folder is whole and a copy: the weights are the same, the old model is as it was."""
    assert {path.name for path in old.iterdir()} == {path.name for path in new.iterdir()}
    for path in old.iterdir():
        assert (path.read_bytes() == (new / path.name).read_bytes()) == (path.name != "markers.json")
        assert not (new / path.name).samefile(path)
    before, after = (json.loads((folder / "markers.json").read_bytes()) for folder in (old, new))
    assert (before["format"], after["format"]) == (1, 2)
    assert {key: after[key] for key in before if key != "format"} == {k: v for k, v in before.items() if k != "format"}
    assert not [path for path in new.parent.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("asked", "said"), [*((value, value) for value in CHOICES), ("legal", "Law"), ("BIOLOGY", "Biology")]
)
def test_fixed(new: Path, asked: str, said: str) -> None:
    """Today's word is asked for, the model's own is written, and what is read back is in today's words."""
    found = _asked(new, "-m", f"domain={asked}")
    assert _written(found["raw"]) == CHOICES[said]
    assert found["asked"] == {"domain": said}
    assert found["markers"]["domain"] == {"Legal": "Law"}.get(CHOICES[said], CHOICES[said])


def test_the_same_words_as_before(old: Path, new: Path) -> None:
    """What the model is asked and writes is to the letter what it was before, under every policy."""
    for before, after in (
        (["-m", "domain=Legal"], ["-m", "domain=Law"]),
        (["-m", "domain=Sciences"], ["-m", "domain=Physics"]),
        (["--not", "domain=Legal"], ["--not", "domain=Law"]),
        (["-m", "domain=Legal", "--not", "domain=Sciences"], ["-m", "domain=Law", "--not", "domain=Biology"]),
        (["-m", "domain=Legal", "--policy", "best-of"], ["-m", "domain=Law", "--policy", "best-of"]),
        (["--policy", "inferred"], ["--policy", "inferred"]),
        (["--policy", "none"], ["--policy", "none"]),
    ):
        one, other = _asked(old, *before), _asked(new, *after)
        assert one["raw"] == other["raw"]
        if word := one["markers"].get("domain"):
            assert other["markers"]["domain"] == {"Legal": "Law"}.get(word, word)


def test_posterior(old: Path, new: Path) -> None:
    """Chances are those of the old words, by today's names."""
    rows = write_rows(old.parent / "ask.jsonl", _rows(DOMAINS, 3))
    before, after = (
        ok(ttm("generate", model, "--input", rows, "--policy", "posterior", "--json", *WORDS)).lines()
        for model in (old, new)
    )
    assert any(row["chances"] for row in before)
    for one, other in zip(before, after, strict=True):
        named = {{"Legal": "Law"}.get(word, word): chance for word, chance in one["chances"].get("domain", {}).items()}
        assert other["chances"].get("domain", {}) == named


def test_posterior_of_merged_values(old: Path, tmp_path: Path) -> None:
    """Where two old words became one, its chance is the sum of theirs."""
    types = "markers.types.domain={rename: {Legal: Society, Medical: Society}}"
    words = [old, "-o", tmp_path / "merged", "--map", "domain.Society=Medical", "--set", types]
    ok(ttm("checkpoint", "migrate", *words))
    ask = ["--policy", "posterior", "-m", "length_tokens=6"]
    before, after = (_asked(model, *ask)["chances"].get("domain") for model in (old, tmp_path / "merged"))
    assert before is not None
    assert after["Society"] == pytest.approx(before["Legal"] + before["Medical"], abs=2e-6)
    assert len(after) == len(before) - 1
    assert list(after.values()) == sorted(after.values(), reverse=True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-m", "domain=Robotics"], "-m: the model never saw domain = 'Robotics': no row of its training had it"),
        (["--not", "domain=Robotics"], "--not: the model never saw domain = 'Robotics'"),
        (["-m", "mood=happy"], "-m: the model never saw the marker 'mood'"),
        (["-m", "domain=Lwa"], "did you mean 'Law'?"),
        (["-m", "domain=Biology", "--not", "domain=Physics"], "-m and --not both name domain = Biology"),
        (["-m", "domain=Law", "--not", "domain=legal"], "-m and --not both name domain = Law"),
    ],
)
def test_refused(new: Path, words: list[str], said: str) -> None:
    """What the model cannot know is refused in a sentence."""
    done = ttm("generate", new, "Tell me.", *words)
    assert (done.code, said in sentence(done.err)) == (2, True)


def test_rows_with_markers_of_their_own(new: Path, tmp_path: Path) -> None:
    """Markers of rows go the same way as those of options."""
    rows = write_rows(tmp_path / "rows.jsonl", [{"prompt": "a", "ask": {"domain": w}} for w in ("Physics", "Legal")])
    found = ok(ttm("generate", new, "--input", rows, "--markers-column", "ask", "--json", *WORDS)).lines()
    assert [_written(row["raw"]) for row in found] == ["Sciences", "Legal"]
    rows = write_rows(tmp_path / "bad.jsonl", [{"prompt": "a", "ask": {"domain": "Robotics"}}])
    done = ttm("generate", new, "--input", rows, "--markers-column", "ask", *WORDS)
    assert "the model never saw domain = 'Robotics'" in sentence(done.err)


def test_measured_alike(old: Path, new: Path, config: Path, tmp_path: Path) -> None:
    """Rows with old words and rows with today's give the migrated model the figures that it had."""
    options = ["--task", "markers", "--json", *WORDS, "--set", "evaluate.resamples=100"]
    ancient = write_rows(tmp_path / "old.jsonl", _rows(DOMAINS, 6))
    fresh = [
        {**row, "markers": {**row["markers"], "domain": {"Legal": "Law", "Sciences": "Biology"}.get(word, word)}}
        for row in _rows(DOMAINS, 6)
        for word in [row["markers"]["domain"]]
    ]
    recent = write_rows(tmp_path / "new.jsonl", fresh)
    for policy in ("inferred", "fixed", "posterior"):
        runs = [
            ok(ttm("-c", config, "evaluate", model, "--data", rows, "--policy", policy, *options)).json()
            for model, rows in ((old, ancient), (new, ancient), (new, recent))
        ]
        figures = [{name: found["value"] for name, found in run["metrics"].items()} for run in runs]
        assert figures[0] == figures[1] == figures[2]
    tails = [
        {(each["by"], each["is"]): each["n"] for each in run["slices"] if each["by"] == "domain frequency"}
        for run in runs
    ]
    assert tails[0] == tails[1] == tails[2] == {("domain frequency", "head"): 6}


def test_stored_answers_are_read_in_todays_words(new: Path, config: Path, tmp_path: Path) -> None:
    """Raw answers of the model, scored with its markers.json, are compared in today's words."""
    block = "<MARKER_LIST> <domain> Legal </domain> </MARKER_LIST>\nYes."
    answers = write_rows(tmp_path / "answers.jsonl", [{"prompt": "Hi", "text": block}])
    data = write_rows(tmp_path / "data.jsonl", [{"prompt": "Hi", "markers": {"domain": "Law"}}])
    words = ["--task", "markers", "--data", data, "--generations", answers, "--counts", new, "--json"]
    found = ok(ttm("-c", config, "evaluate", *words)).json()
    assert found["metrics"]["accuracy.domain"]["value"] == 1


def test_calibrated_in_todays_words(old: Path, new: Path, config: Path, tmp_path: Path) -> None:
    """Temperatures fitted on rows with today's words are those of the old words on the same rows; both are kept."""
    rows = write_rows(tmp_path / "rows.jsonl", _rows(DOMAINS, 33))
    today = write_rows(tmp_path / "today.jsonl", _rows_today(33))
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    shutil.copytree(old, theirs)
    shutil.copytree(new, ours)
    before = ok(ttm("calibrate", theirs, rows, "--json")).json()
    after = ok(ttm("-c", config, "calibrate", ours, today, "--json")).json()
    assert after == before
    assert json.loads((ours / "markers.json").read_bytes())["migration"]


def _rows_today(number: int) -> Iterator[dict[str, Any]]:
    names = {"Legal": "Law", "Sciences": "Physics"}
    for row in _rows(DOMAINS, number):
        domain = row["markers"]["domain"]
        yield {**row, "markers": {**row["markers"], "domain": names.get(domain, domain)}}


def test_trained_further(new: Path, old: Path, config: Path, tmp_path: Path) -> None:
    """A migrated model learns the new words from rows that have them; one that was not is told what to do first."""
    rows = write_rows(tmp_path / "rows.jsonl", _rows(("Law", "Biology", "Physics", "Robotics", "Medical")))
    words = ["--set", "train.max_steps=2", "--set", "train.per_device_train_batch_size=8"]
    done = ttm("-c", config, "train", rows, "--model", old, "-o", tmp_path / "no", *words)
    assert (done.code, "migrate" in sentence(done.err.splitlines()[-1])) == (2, True)
    folder = tmp_path / "further"
    ok(ttm("-c", config, "train", rows, "--model", new, "-o", folder, *words))
    data = json.loads((folder / "markers.json").read_bytes())
    assert "migration" not in data
    assert data["counts"]["domain"]["Robotics"] == 12
    found = _asked(folder, "-m", "domain=Robotics")
    assert (_written(found["raw"]), found["markers"]["domain"]) == ("Robotics", "Robotics")
    done = ttm("generate", folder, "Tell me.", "-m", "domain=Sciences")
    assert "'Sciences' is no value any more: it was split into Biology, Physics" in sentence(done.err)


def test_dry_run_and_in_place(old: Path, config: Path, tmp_path: Path) -> None:
    """A dry run says what would be mapped and writes nothing; in place, markers.json alone is written."""
    model = tmp_path / "model"
    shutil.copytree(old, model)
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in model.iterdir()}
    done = ok(ttm("-c", config, "checkpoint", "migrate", model, "--dry-run"))
    lines = [line.split() for line in done.out.splitlines()]
    assert ["domain", "Law", "Legal"] in lines
    assert "domain  Physics    Sciences (read back as Sciences)" in done.out
    assert "domain  Robotics   never seen: train the model further" in done.out
    assert "markers that no row of its training had: quality, " in done.out
    assert done.err == "nothing was written\n"
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in model.iterdir()} == before
    mapping = ok(ttm("-c", config, "checkpoint", "migrate", model, "--in-place", "--json")).json()["mapping"]
    assert mapping[0] == {
        "marker": "domain",
        "words": {"Biology": "Sciences", "Physics": "Sciences", "Law": "Legal"},
        "shown": {"Legal": "Law"},
        "unseen": ["Robotics"],
        "former": ["Sciences"],
        "new": False,
    }
    after = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in model.iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"markers.json"}
    shown = ok(ttm("checkpoint", "show", model, "--json")).json()
    assert (shown["migrated"], shown["mapping"][0]) == (True, mapping[0])
    assert "domain  Law        Legal" in ok(ttm("checkpoint", "show", model)).out


def test_without_changes(old: Path, tmp_path: Path) -> None:
    """A model of today's taxonomy can be migrated too: nothing is mapped."""
    done = ok(ttm("checkpoint", "migrate", old, "-o", tmp_path / "same"))
    assert done.out.startswith("markers that no row of its training had: ")
    assert _asked(tmp_path / "same", "-m", "domain=Legal")["markers"]["domain"] == "Legal"


def test_adapter(old: Path, config: Path, tmp_path: Path) -> None:
    """An adapter's folder is migrated like a model's."""
    pytest.importorskip("peft")
    marked = write_rows(tmp_path / "marked.jsonl", _rows(DOMAINS))
    adapter = tmp_path / "adapter"
    ok(ttm("train", marked, "--model", old, "-o", adapter, "--strategy", "lora", "--set", "train.max_steps=1"))
    ok(ttm("-c", config, "checkpoint", "migrate", adapter, "-o", tmp_path / "moved"))
    found = _asked(tmp_path / "moved", "-m", "domain=Law")
    assert (_written(found["raw"]), found["markers"]["domain"]) == ("Legal", "Law")


def test_wrong_commands(old: Path, config: Path, tmp_path: Path) -> None:
    """What cannot be done is refused in a sentence, and nothing is left behind."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").touch()
    for words, said in (
        ([old], "give either -o NEW or --in-place"),
        ([old, "-o", tmp_path / "x", "--in-place"], "give either -o NEW or --in-place"),
        (["Owner/name", "-o", tmp_path / "x"], "is no folder: migrate a model that lies here"),
        ([tmp_path / "there", "--in-place"], "has no markers.json"),
        ([old, "-o", tmp_path / "there"], "exists already"),
        ([old, "-o", old / "inside"], "lies in the model's own folder"),
        ([old, "--dry-run", "--map", "domain.Law=Lgal"], "did you mean 'Legal'?"),
    ):
        done = ttm("-c", config, "checkpoint", "migrate", *words)
        assert (done.code, said in sentence(done.err)) == (2, True), done.err
    assert {path.name for path in tmp_path.iterdir()} == {"there"}
    assert not (old / "inside").exists()


def test_a_full_disk_leaves_nothing(old: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the copy fails, no half of a model is left."""

    def full(*words: object, **options: object) -> None:
        raise OSError(28, "No space left on device", "model.safetensors")

    monkeypatch.setattr("ttmarkers.checkpoints.migration.shutil.copytree", full)
    done = ttm("-c", config, "checkpoint", "migrate", old, "-o", tmp_path / "new")
    assert (done.code, "No space left on device" in sentence(done.err)) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_rows_are_read_in_todays_words(config: Path, tmp_path: Path) -> None:
    """Rows that were annotated before are read by today's taxonomy, where that can be known."""
    rows = write_rows(tmp_path / "old.jsonl", _rows(("Legal", "Medical"), 4))
    found = ok(ttm("-c", config, "preview", rows, "--json", "--set", "dropout.dataset=0")).lines()
    assert [_written(row["completion"]) for row in found] == ["Law", "Medical", "Law"]
    assert read_rows(rows)[0]["markers"]["domain"] == "Legal"
