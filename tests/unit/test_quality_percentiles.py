"""Task quality: the quality that goes with each bucket, from a file, from the model or from the config."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from support import write_rows
from ttmarkers.checkpoints.checkpoint import Checkpoint
from ttmarkers.config import make_config
from ttmarkers.errors import ConfigError
from ttmarkers.protocols import Setting
from ttmarkers_plugins.extractors.quality import QualityBucketExtractor
from ttmarkers_plugins.tasks.quality import QualityTask

if TYPE_CHECKING:
    from pathlib import Path

    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.taxonomies.taxonomy import Taxonomy

PROGRAM: dict[str, Any] = {"scorer": "program", "command": "never-run"}
ROWS = [
    {"id": "a", "prompt": "Why?", "output": "1234", "lang": "fr"},
    {"id": "b", "prompt": "How?", "output": "123456", "markers": {"lang": "German"}},
]


@pytest.fixture
def setting(plugins: Plugins) -> Setting:
    """What surrounds the task."""
    return Setting(make_config({}), plugins)


def scored() -> list[dict[str, Any]]:
    """Return annotated rows of two languages, and one whose language is not known."""
    found = []
    for number in range(80):
        lang, quality = ("French", "German")[number % 2], round((number * 37 % 80) / 8, 3)
        markers = {"lang": lang, "quality": quality, "quality_bucket": str(4 - int(quality // 2.5))}
        found.append({"prompt": "q", "completion": "a", "markers": markers})
    return [
        *found,
        {"prompt": "q", "completion": "a", "markers": {"quality": 9.99, "quality_bucket": "1", "lang": None}},
    ]


def test_percentiles_of_a_file(setting: Setting, tmp_path: Path) -> None:
    """With each bucket goes its quality at the 95th percentile in that language, or in all of them together."""
    import pandas

    rows = scored()
    path = write_rows(tmp_path / "marked.jsonl", [*rows, {"prompt": "q", "completion": "a", "markers": {}}])
    task = QualityTask(**PROGRAM, percentiles=str(path))
    cases = task.cases([*ROWS, {"id": "c", "prompt": "Who?", "output": "x", "lang": "Greek"}])
    task.prepare(setting)
    table = pandas.DataFrame([row["markers"] for row in rows])
    for case, lang in zip(cases, [lang for lang in ("French", "German", None) for _ in range(4)], strict=True):
        part = table[(table["quality_bucket"] == case.bucket) & ((table["lang"] == lang) | (lang is None))]
        markers = task.request(case, "fixed").markers
        assert markers["quality"] == pytest.approx(part["quality"].quantile(0.95), abs=1e-4), case.id
    assert task.request(cases[0], "inferred").markers == {}


def test_percentiles_of_the_model(setting: Setting, taxonomy: Taxonomy) -> None:
    """What ``markers.json`` keeps of the training data is used, where the config says so."""
    extractor = QualityBucketExtractor(least=20)
    for row in scored():
        extractor.observe({name: value for name, value in row["markers"].items() if value is not None})
    state = extractor.fit()
    facts = {"fitted": {"quality-quartiles": state}}
    checkpoint = Checkpoint("sft", True, taxonomy, "paper", "", {}, 81, {}, facts)
    task = QualityTask(**PROGRAM, percentiles="model")
    cases = task.cases(ROWS)
    task.prepare(replace(setting, checkpoint=checkpoint))
    for case, lang in zip(cases, ["French"] * 4 + ["German"] * 4, strict=True):
        wanted = state["groups"][lang]["p95"][case.bucket]
        assert task.request(case, "fixed").markers["quality"] == pytest.approx(wanted, abs=1e-4)
    with pytest.raises(ConfigError, match=r"the model's markers\.json holds none: give a file"):
        task.prepare(setting)


def test_percentiles_as_a_mapping(setting: Setting) -> None:
    """Numbers and codes of languages are as good as texts and names; what is missing is named."""
    task = QualityTask(**PROGRAM, percentiles={"fr": {1: 4.5, 2: 3}, "German": {1: 5}}, buckets=[1, 2])
    cases = task.cases(ROWS)
    task.prepare(setting)
    found = [task.request(case, "fixed").markers["quality"] for case in cases[:3]]
    assert found == [4.5, 3.0, 5.0]
    with pytest.raises(ConfigError, match=r"percentiles has none of language 'German' in bucket 2 \(case 'b@2'\)"):
        task.request(cases[3], "fixed")
