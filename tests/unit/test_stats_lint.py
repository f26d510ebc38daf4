"""``ttm stats``, ``ttm lint``, ``ttm profiles`` and profiles in use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support import read_rows, write_rows
from ttmarkers.annotation.stats import quantiles
from ttmarkers.cli import main

if TYPE_CHECKING:
    from pathlib import Path


def ttm(*words: object) -> int:
    """Run a command and return its exit status."""
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert isinstance(end.value.code, int)
    return end.value.code


def row(number: int, **markers: Any) -> dict[str, Any]:
    """Return an annotated row."""
    return {"id": f"r{number}", "prompt": "Why?", "completion": "One sentence here.", "markers": markers}


def test_stats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Counts, shares, the tail, what is missing, quantiles, by language."""
    rows = [row(n, lang="English" if n < 97 else "French", length_tokens=n) for n in range(99)] + [row(99)]
    page = tmp_path / "s.html"
    assert ttm("stats", write_rows(tmp_path / "m.jsonl", rows), "--json", "--html", page) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["rows"] == 100
    lang = data["markers"]["lang"]
    assert lang["missing"] == 1
    assert lang["values"] == [
        {"value": "English", "count": 97, "share": 0.97, "tail": False},
        {"value": "French", "count": 2, "share": 0.02, "tail": True},
    ]
    assert data["markers"]["length_tokens"]["quantiles"]["50"] == 49
    assert data["languages"]["French"]["rows"] == 2
    assert page.read_text().count("<svg") == 2
    assert ttm("stats", tmp_path / "m.jsonl") == 0
    assert "French   2     2.0%   tail" in capsys.readouterr().out


def test_quantiles_occur() -> None:
    """Quantiles are numbers of the data, the least and the greatest among them."""
    found = quantiles(dict.fromkeys(range(1, 11), 1))
    assert (found["0"], found["50"], found["100"]) == (1.0, 5.0, 10.0)


@pytest.mark.parametrize(
    ("markers", "check"),
    [
        ({"task": "CodeFix"}, "contradiction"),
        ({"length_tokens": 99}, "length"),
        ({"length_paragraphs": 2}, "length"),
        ({"length_tokens": 4, "length_bucket": "long"}, "contradiction"),
        ({"lang": "Klingon"}, "taxonomy"),
        ({"colour": "red"}, "taxonomy"),
    ],
)
def test_lint_finds(tmp_path: Path, capsys: pytest.CaptureFixture[str], markers: dict[str, Any], check: str) -> None:
    """Each fault is an error that names its row, and the exit status is 1."""
    source = write_rows(tmp_path / "m.jsonl", [row(0, lang="English"), row(1, **markers)])
    assert ttm("lint", source, "--json") == 1
    data = json.loads(capsys.readouterr().out)
    assert [finding["check"] for finding in data["findings"]] == [check]
    assert data["findings"][0]["rows"] == [f"{source}, row 2"]


def test_lint_passes(tmp_path: Path) -> None:
    """Rows as annotate writes them have no errors."""
    source = write_rows(tmp_path / "r.jsonl", [{"prompt": "Why?", "completion": "Because it is so."}] * 3)
    assert ttm("annotate", source, "-o", tmp_path / "m.jsonl") == 0
    assert ttm("lint", tmp_path / "m.jsonl") == 0


def test_lint_finds_blocks_in_the_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A block in the raw text would teach two blocks."""
    rows = [{**row(0, lang="English"), "completion": "<MARKER_LIST> <lang> French </lang> </MARKER_LIST> Hi."}]
    assert ttm("lint", write_rows(tmp_path / "m.jsonl", rows), "--no-lengths") == 1
    assert "block-in-text" in capsys.readouterr().out


def test_lint_warns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Markers that follow from the file or hardly vary are warnings, which do not fail."""
    first = write_rows(tmp_path / "a.jsonl", [row(n, source="Human", style="Formal") for n in range(30)])
    second = write_rows(tmp_path / "b.jsonl", [row(n, source="Synthetic", style="Formal") for n in range(30)])
    assert ttm("lint", first, second, "--json") == 0
    found = {finding["check"]: finding["message"] for finding in json.loads(capsys.readouterr().out)["findings"]}
    assert found["file"].startswith("source follows from the file")
    assert found["constant"].startswith("style is always Formal")


def test_every_profile_is_a_config(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Every profile loads, and a misspelt one gets a hint."""
    assert ttm("profiles", "list", "--json") == 0
    names = [entry["name"] for entry in json.loads(capsys.readouterr().out)]
    source = write_rows(tmp_path / "r.jsonl", [{"prompt": "a", "completion": "b"}])
    for name in names:
        assert ttm("profiles", "show", name) == 0
        capsys.readouterr()
        status = ttm("annotate", "--profile", name, source, "-o", tmp_path / f"{name}.jsonl")
        assert status in (0, 1), name  # 1 where the profile names a column that these rows lack
    assert ttm("annotate", "--profile", "doly", source, "-o", tmp_path / "x.jsonl") == 2
    assert "dolly" in capsys.readouterr().err


def test_the_users_config_stands_above_a_profile(tmp_path: Path) -> None:
    """What the user declares replaces what the profile says of the same marker, and nothing else."""
    source = write_rows(tmp_path / "r.jsonl", [{"instruction": "a", "response": "b", "category": "open_qa"}])
    assert ttm("annotate", "--profile", "dolly", source, "-o", tmp_path / "o.jsonl",
               "--set", "markers.declared.source={constant: Others}") == 0  # fmt: skip
    markers = read_rows(tmp_path / "o.jsonl")[0]["markers"]
    assert (markers["source"], markers["task"]) == ("Others", "QuestionAnswering")


def test_parallel_sentences_become_translations(tmp_path: Path) -> None:
    """A row of parallel sentences becomes one example for each target language."""
    source = write_rows(tmp_path / "r.jsonl", [{"sent_id": 7, "en": "The house is big.", "de": "Das Haus ist groß."}])
    spec = "data.parallel={languages: {en: English, de: German}, sources: [en]}"
    assert ttm("annotate", source, "-o", tmp_path / "o.jsonl", "--set", spec) == 0
    (found,) = read_rows(tmp_path / "o.jsonl")
    assert found["prompt"] == "Translate from English to German:\n\nThe house is big."
    assert (found["completion"], found["sent_id"]) == ("Das Haus ist groß.", 7)


HOSTILE = {
    "nulls": "a\0b " * 50,
    "surrogates": "\ud800 word " * 50,
    "long line": "word " * 150_000,
    "long word": "x" * 900_000,
    "punctuation": "(" * 300_000,
    "emoji": "🎉" * 200_000,
    "rtl": "\u202eabc\u200b \u200f" * 1000,
    "nested fences": "````\n```\n~~~\n" * 20_000,
    "unclosed fence": "```python\nprint(1)\n" * 10_000,
    "brackets": "\\[" * 200_000,
    "dollars": "$$" * 200_000,
    "stars": "**" * 200_000,
    "thoughts": "<think>" * 60_000,
    "blank lines": "\n" * 500_000 + "x",
    "spaces": ") " + " " * 500_000 + "x",
    "commas": "a," * 300_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_rows_end(tmp_path: Path, name: str) -> None:
    """Each row ends in markers or in the quarantine, and the row after it is not harmed."""
    rows = [{"prompt": "Why?", "completion": HOSTILE[name]}, {"prompt": "Why?", "completion": "Because it is so."}]
    path = tmp_path / "r.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    assert ttm("annotate", path, "-o", tmp_path / "o.jsonl", "--quarantine", tmp_path / "bad.jsonl") == 0
    found, bad = read_rows(tmp_path / "o.jsonl"), read_rows(tmp_path / "bad.jsonl")
    assert len(found) + len(bad) == 2
    assert found[-1]["markers"]["length_tokens"] == 5


def test_a_row_over_the_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A huge row is bad, and the message names the limit and the mend."""
    path = write_rows(tmp_path / "r.jsonl", [{"prompt": "Why?", "completion": "x " * 600_000}])
    assert ttm("annotate", path, "-o", tmp_path / "o.jsonl") == 1
    assert "more than data.max_chars = 1,000,000" in capsys.readouterr().err
