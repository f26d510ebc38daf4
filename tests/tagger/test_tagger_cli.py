"""``ttm tagger train`` and ``ttm tagger check``, and what ``ttm annotate`` does with the tagger between them."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from support import plan_of, read_rows, ttm, write_rows
from ttmarkers.annotation.agreement import agree
from ttmarkers.annotation.extraction import Extraction
from ttmarkers.components import ExtractorComponent
from ttmarkers.records import Found

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ttmarkers.annotation.extraction import Row
    from ttmarkers.annotation.worker import AnnotationJob
    from ttmarkers.protocols import Subject
    from ttmarkers.taxonomies.taxonomy import Taxonomy

ASKED = {
    "Translation": ("translate", "into French", "in German"),
    "CreativeWriting": ("compose a poem", "rhymes", "verse"),
    "Summarization": ("summarize", "in short", "the main points"),
}


def rows(number: int, *, seed: int = 0) -> list[dict[str, Any]]:
    """Return rows whose words tell their task."""
    found = []
    for index in range(number):
        task = list(ASKED)[index % 3]
        words = ASKED[task]
        prompt = f"Please {words[0]} number {seed} {index}, {words[1 + index // 3 % 2]}"
        markers = {"task": task, "length_tokens": index, **({"lang": "English"} if index % 2 else {})}
        found.append({"id": f"{seed}-{index}", "prompt": prompt, "completion": "So be it.", "markers": markers})
    return found


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Annotate in this process, which starts at once."""
    module = importlib.import_module("ttmarkers.cli.annotate")
    make = module._job

    def here(*arguments: Any) -> AnnotationJob:
        job: AnnotationJob = make(*arguments)
        return replace(job, workers=0)

    monkeypatch.setattr(module, "_job", here)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tagger of the task."""
    folder = tmp_path_factory.mktemp("trained")
    source = write_rows(folder / "marked.jsonl", rows(120))
    done = ttm("tagger", "train", source, "-o", folder / "tagger", "--markers", "task, length_tokens", "--json")
    assert done.code == 0, done.err
    (folder / "said.json").write_text(done.out)
    (folder / "notes.txt").write_text(done.err)
    return folder


def annotate(trained: Path, source: Path, output: Path, *more: object) -> list[dict[str, Any]]:
    """Find the task by the tagger alone."""
    tagger = json.dumps({"tagger": str(trained / "tagger")})
    chain = ["--set", "markers.extractors.task=[distilled]", "--set", f"markers.options.distilled={tagger}"]
    done = ttm("annotate", source, "-o", output, "--markers", "task", *chain, *more)
    assert done.code == 0, done.err
    return read_rows(output)


def test_train(trained: Path) -> None:
    """One JSON document on standard output, what was not learnt on standard error, and a folder with a run.json."""
    document = json.loads((trained / "said.json").read_text())
    assert document["output"] == str(trained / "tagger")
    assert document["markers"]["task"]["n"] == 120
    assert document["markers"]["task"]["metrics"]["accuracy"]["value"] == 1
    assert list(document["skipped"]) == ["length_tokens"]
    notes = (trained / "notes.txt").read_text()
    assert "length_tokens was not learnt: 120 rows; at least 50 of two values of a category are needed\n" in notes
    assert "Warning" not in notes
    assert sorted(path.name for path in (trained / "tagger").iterdir()) == ["run.json", "tagger.json", "weights.npz"]
    run = json.loads((trained / "tagger" / "run.json").read_text())
    assert run["command"] == "tagger train"
    assert run["rows"] == 120
    assert run["inputs"][0]["name"] == str(trained / "marked.jsonl")


def test_train_annotate_check(trained: Path, tmp_path: Path) -> None:
    """The figures are those of the rows: the tagger is asked, some answers are changed, some left out."""
    gold = rows(60, seed=5)
    bare = write_rows(tmp_path / "bare.jsonl", [{k: v for k, v in row.items() if k != "markers"} for row in gold])
    found = annotate(trained, bare, tmp_path / "found.jsonl")
    assert [row["markers"]["task"] for row in found] == [row["markers"]["task"] for row in gold]
    assert {row["markers_meta"]["task"]["source"] for row in found} == {"extractor:distilled"}
    for row in found[:6]:
        row["markers"]["task"] = "Translation"
    for row in found[6:9]:
        del row["markers"]["task"]
    said = write_rows(tmp_path / "said.jsonl", found[:-10][::-1])
    right = write_rows(tmp_path / "gold.jsonl", gold)
    done = ttm("tagger", "check", said, "--gold", right, "--markers", "task", "--json")
    assert done.code == 0, done.err
    assert done.err == f"10 of 60 rows of {right} are not in {said}\n"
    wanted = agree(
        [row["markers"]["task"] for row in gold[:50]],
        [row["markers"].get("task") for row in found[:50]],
        [row["markers_meta"]["task"]["confidence"] if "task" in row["markers"] else 0 for row in found[:50]],
    )
    assert done.json() == {"rows": 50, "markers": {"task": wanted.to_json()}}
    assert wanted.confusion["CreativeWriting"] == {"CreativeWriting": 14, "Translation": 2, "": 1}
    text = ttm("tagger", "check", said, "--gold", right, "--markers", "task")
    assert text.code == 0
    assert "task, 50 rows" in text.out
    assert wanted.accuracy.text() in text.out
    assert [line.split() for line in text.out.splitlines()[-7:]] == [
        ["most", "frequent", "confusions"],
        ["right", "said", "rows"],
        ["CreativeWriting", "Translation", "2"],
        ["Summarization", "Translation", "2"],
        ["CreativeWriting", "nothing", "1"],
        ["Summarization", "nothing", "1"],
        ["Translation", "nothing", "1"],
    ]


def test_check_compares_all_categories_of_the_gold_file(tmp_path: Path) -> None:
    """Numbers are left out; rows of which the gold file says nothing do not count; nothing found is null."""
    gold = write_rows(tmp_path / "gold.jsonl", rows(12))
    said = write_rows(tmp_path / "said.jsonl", [{**row, "markers": {"task": "Translation"}} for row in rows(12)])
    done = ttm("tagger", "check", said, "--gold", gold, "--json")
    assert done.code == 0, done.err
    markers = json.loads(done.out, parse_constant=pytest.fail)["markers"]
    assert {name: entry["n"] for name, entry in markers.items()} == {"task": 12, "lang": 6}
    assert markers["lang"]["metrics"]["coverage"]["value"] == 0
    assert markers["lang"]["metrics"]["answered"]["value"] is None
    assert "no case" in ttm("tagger", "check", said, "--gold", gold).out


def test_texts_stand_for_ids(tmp_path: Path) -> None:
    """Rows without ids are the same if their texts are."""
    plain = [{k: v for k, v in row.items() if k != "id"} for row in rows(9)]
    gold, said = write_rows(tmp_path / "g.jsonl", plain), write_rows(tmp_path / "s.jsonl", plain[::-1])
    assert ttm("tagger", "check", said, "--gold", gold, "--json").json()["rows"] == 9


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"task": {"confidence": "much"}}, "row 1: the confidence of task is 'much': it must be a number from 0 to 1"),
        ({"task": {"confidence": 7}}, "row 1: the confidence of task is 7: it must be a number from 0 to 1"),
        ({"task": {"confidence": None}}, ""),
        ({"task": "sure"}, ""),
        ("sure", ""),
    ],
)
def test_odd_confidences(tmp_path: Path, meta: object, message: str) -> None:
    """A number that is no share is refused; no number is the data set's own word."""
    row = rows(1)[0]
    gold, said = (
        write_rows(tmp_path / "g.jsonl", [row]),
        write_rows(tmp_path / "s.jsonl", [{**row, "markers_meta": meta}]),
    )
    done = ttm("tagger", "check", said, "--gold", gold, "--markers", "task", "--json")
    assert done.code == (1 if message else 0)
    assert message in done.err
    assert message or done.json()["markers"]["task"]["values"]["Translation"]["confidence"] == 1


def test_wrong_commands(trained: Path, tmp_path: Path) -> None:
    """Names that do not exist are the command's fault, rows that lack something are the data's."""
    source, other = trained / "marked.jsonl", write_rows(tmp_path / "other.jsonl", rows(9, seed=1))
    bare = write_rows(tmp_path / "bare.jsonl", [{"prompt": "a", "completion": "b"}])
    few = write_rows(tmp_path / "few.jsonl", rows(9))
    empty = write_rows(tmp_path / "empty.jsonl", [])
    output = tmp_path / "new"
    for words, code, message in (
        (("train", source, "-o", output, "--markers", "tasks"), 2, "unknown marker 'tasks' (--markers): did you mean"),
        (("train", source, "-o", trained / "tagger"), 2, "exists already: remove it or name another output with -o"),
        (("train", source, "-o", output, "--extractor", "langid"), 2, "extractor 'langid' cannot be trained"),
        (("train", source, "-o", output, "--extractor", "distill"), 2, "did you mean 'distilled'?"),
        (("train", tmp_path / "none.jsonl", "-o", output), 2, "there is no such file"),
        (("train", bare, "-o", output), 1, "the row has no markers: annotate the file first"),
        (("train", few, "-o", output), 1, "nothing can be learnt: task: 9 rows; at least 50"),
        (("train", empty, "-o", output), 1, "nothing can be learnt: the rows have no marker that is a category"),
        (("check", source, "--gold", source, "--markers", "tasks"), 2, "unknown marker 'tasks' (--markers)"),
        (("check", source, "--gold", source, "--markers", "domain"), 1, "has no row with domain"),
        (("check", source, "--gold", other), 1, "have no row in common: ids or texts must be the same"),
        (("check", source, "--gold", bare), 1, "the row has no markers"),
    ):
        done = ttm("tagger", *words)
        assert (done.code, done.out) == (code, "")
        assert message in done.err
        assert done.err.count("\n") == 1
    assert not output.exists()


def test_no_tagger(trained: Path, tmp_path: Path) -> None:
    """Annotation without the option, with a folder that is none, and for a marker that was not learnt."""
    for marker, option, message in (
        ("task", {}, "needs a tagger: set markers.options.distilled.tagger"),
        ("task", {"tagger": str(tmp_path)}, "is no tagger"),
        ("domain", {"tagger": str(trained / "tagger")}, "finds task, not domain: train another"),
    ):
        done = ttm(
            "annotate", trained / "marked.jsonl", "-o", tmp_path / "out.jsonl", "--markers", marker,
            "--set", f"markers.extractors.{marker}=[distilled]",
            "--set", f"markers.options.distilled={json.dumps(option)}",
        )  # fmt: skip
        assert done.code == 2
        assert message in done.err


def test_least_confidence(trained: Path, tmp_path: Path) -> None:
    """Below it the tagger abstains, and rows carry no task; above it nothing changes."""
    gold = [{k: v for k, v in row.items() if k != "markers"} for row in rows(12, seed=3)]
    gold[5]["prompt"] = "xyzzy"
    source = write_rows(tmp_path / "bare.jsonl", gold)
    plain = annotate(trained, source, tmp_path / "plain.jsonl")
    sure = [row["markers_meta"]["task"]["confidence"] for row in plain]
    assert sure[5] < min(sure[:5] + sure[6:])
    least = ["--set", f"markers.least_confidence.task={(sure[5] + min(sure[:5] + sure[6:])) / 2}"]
    strict = annotate(trained, source, tmp_path / "strict.jsonl", *least)
    assert strict[5]["markers"].get("task") is None
    assert [row for n, row in enumerate(strict) if n != 5] == [row for n, row in enumerate(plain) if n != 5]


class Second:
    """An extractor that says the same of all rows, and remembers which."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def extract(self, batch: Sequence[Subject]) -> list[Mapping[str, Found]]:
        """Say that it is a translation."""
        self.asked += [subject.example.instruction for subject in batch]
        return [{"task": Found("Translation", 0.9)} for _ in batch]


def test_the_next_extractor_is_asked(trained: Path, taxonomy: Taxonomy, subject: Callable[..., Row]) -> None:
    """Only for the rows of which the tagger is not sure enough."""
    second = Second()
    first = ExtractorComponent(
        "distilled", "A tagger.", "ttmarkers_plugins.tagger.distilled:DistilledExtractor", default=False
    )
    components = [first, ExtractorComponent("second", "Another.", lambda: second, default=False)]
    settings = {
        "use": ["task"],
        "extractors": {"task": ["distilled", "second"]},
        "options": {"distilled": {"tagger": str(trained / "tagger")}},
        "least_confidence": {"task": 0.8},
    }
    examples = [subject(text).example for text in ("Please compose a poem, rhymes", "xyzzy")]
    sure, unsure = Extraction(plan_of(taxonomy, components, settings)).run(examples)
    assert second.asked == ["xyzzy"]
    assert sure.markers == {"task": "CreativeWriting"}
    assert sure.meta["task"]["source"] == "extractor:distilled"
    assert sure.meta["task"]["confidence"] >= 0.8
    assert unsure.markers == {"task": "Translation"}
    assert unsure.meta["task"] == {"confidence": 0.9, "source": "extractor:second"}
