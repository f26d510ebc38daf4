"""Over-long rows that are cut: none over the limit, no block cut, and no marker that is not true of what is left."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from support import TRAIN, greetings, ttm, write_rows
from ttmarkers.blocks.rendering import Renderer
from ttmarkers.blocks.template import load_template
from ttmarkers.config import make_config
from ttmarkers.marked import read_marked
from ttmarkers.models.encoding import Encoder
from ttmarkers.models.loading import load_tokenizer
from ttmarkers.taxonomies.taxonomy import make_taxonomy
from ttmarkers.training.cutting import Cutter
from ttmarkers.training.job import TrainingJob

if TYPE_CHECKING:
    from pathlib import Path

    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.records import MarkedExample

SENTENCE = "The train leaves at nine and arrives at noon, which is early enough. "
LIMIT = 600


@pytest.fixture(scope="module")
def long_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Annotated rows, three of them far too long: a text, a list, a prompt."""
    folder = tmp_path_factory.mktemp("long")
    rows: list[dict[str, Any]] = [dict(row, task="qa", score=3.5) for row in greetings(9)]
    rows[2] |= {"prompt": "Tell me of trains.", "completion": SENTENCE * 90}
    rows[5] |= {"prompt": "Write JSON.", "completion": json.dumps([{"name": SENTENCE}] * 30)}
    rows[7] |= {"prompt": SENTENCE * 200}
    config = folder / "config.yaml"
    config.write_text(
        "markers: {declared: {task: {column: task, values: {qa: QuestionAnswering}}, quality: {column: score},"
        " source: {constant: Human}}}",
        encoding="utf-8",
    )
    output = folder / "marked.jsonl"
    done = ttm("-c", config, "annotate", write_rows(folder / "rows.jsonl", rows), "-o", output)
    assert done.code == 0, done.err
    return output


@pytest.fixture
def examples(long_rows: Path, plugins: Plugins) -> list[MarkedExample]:
    """The annotated rows."""
    return list(read_marked([str(long_rows)], make_taxonomy(plugins.marker_types().all())))


@pytest.fixture
def parts(plugins: Plugins, sft: Path, tmp_path: Path) -> tuple[Cutter, Renderer, Encoder]:
    """What cuts, renders and encodes."""
    job = TrainingJob((), str(sft), tmp_path, make_config({}, "test"), plugins)
    full = make_taxonomy(plugins.marker_types().all())
    template = load_template(plugins.templates().get("paper"), full)
    renderer, encoder = Renderer(template, None), Encoder(load_tokenizer(str(sft)))
    return Cutter(job, full, renderer, encoder, LIMIT), renderer, encoder


def test_markers_of_a_cut_text(examples: list[MarkedExample], parts: tuple[Cutter, Renderer, Encoder]) -> None:
    """Lengths are those of what is left, categories that no extractor reads are kept, scores and quartiles are not."""
    cutter, renderer, encoder = parts
    whole = replace(examples[2], markers={**examples[2].markers, "quality_bucket": "1"})
    assert "quality" in whole.markers
    made = cutter.cut(whole, encoder.measure([renderer.render(whole)])[0])
    assert made is not None
    cut, sizes = made
    encoded = encoder.encode([renderer.render(cut)])[0]
    assert len(encoded.input_ids) == sizes.total <= LIMIT
    assert whole.completion.startswith(cut.completion)
    assert cut.completion.endswith("enough.")  # at the end of a sentence
    sentences = cut.completion.count("enough.")
    assert cut.markers["length_sentences"] == sentences < 90
    words = len(SENTENCE.rstrip().rstrip(".").replace(",", " ,").split()) + 1
    assert cut.markers["length_tokens"] == sentences * words
    kept = {name: cut.markers.get(name) for name in ("task", "source", "lang", "quality", "quality_bucket")}
    assert kept == {
        "task": "QuestionAnswering", "source": "Human", "lang": "English", "quality": None, "quality_bucket": None
    }  # fmt: skip
    block = renderer.render(cut).block
    assert encoder.tokenizer.decode(encoded.input_ids).count(block.strip()) == 2  # whole, in prompt and target


def test_format_of_a_cut_text(examples: list[MarkedExample], parts: tuple[Cutter, Renderer, Encoder]) -> None:
    """JSON that is cut is JSON no more, and its marker goes."""
    cutter, renderer, encoder = parts
    whole = examples[5]
    assert whole.markers["format"] == "JSON"
    made = cutter.cut(whole, encoder.measure([renderer.render(whole)])[0])
    assert made is not None
    assert "format" not in made[0].markers


def test_prompt_that_leaves_no_room(examples: list[MarkedExample], parts: tuple[Cutter, Renderer, Encoder]) -> None:
    """A prompt that fills the limit by itself cannot be helped by cutting the answer."""
    cutter, renderer, encoder = parts
    assert cutter.cut(examples[7], encoder.measure([renderer.render(examples[7])])[0]) is None


def test_training_on_cut_rows(long_rows: Path, tmp_path: Path) -> None:
    """What is cut and what is left out is said and noted, and the model's counts are those of the rows as trained."""
    output = tmp_path / "model"
    settings = ("train.overlong=cut", f"train.max_length={LIMIT}")
    words = [word for setting in settings for word in ("--set", setting)]
    done = ttm("train", long_rows, "--model", "scratch:tiny", "-o", output, *TRAIN, *words)
    assert done.code == 0, done.err
    data = json.loads((output / "markers.json").read_bytes())
    cut, left_out = data["cut_rows"], data["overlong_rows"]
    assert (cut, left_out) == (2, 1)
    assert "2 answers were cut to max_length, and their markers extracted again (train.overlong)" in done.err
    assert "1 examples are longer than max_length and were left out" in done.err
    assert data["rows"] == 8
    assert data["counts"]["quality"]["n"] == 6
    assert data["counts"]["length_tokens"]["max"] < 90 * 15  # what the whole text has
