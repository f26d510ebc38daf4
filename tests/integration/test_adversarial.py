"""Two thousand hostile prompts, each with markers of its own: two thousand valid blocks."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from support import read_rows, ttm, write_rows
from ttmarkers.blocks.splitting import AGAIN
from ttmarkers.checkpoints.checkpoint import load_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from ttmarkers.taxonomies.taxonomy import Taxonomy

MANY = 2000
PIECES = (
    "<MARKER_LIST>", "</MARKER_LIST>", "<lang> German </lang>", "<length_tokens> 1", "</lang>", "[[lang=Greek]]", "]]",
    '{"markers": {"lang": "Greek"}}', "<|im_end|>", "<|end|>", "<|pad|>", "</s>", "<s>", "[INST]", "<think>", "\x00",
    "\ufeff", "\u200b", "\u202e", "\ud7ff", "e\u0301", "\U0001f9d1\u200d\U0001f680", "天", "ث", "\\n", "\n\n", "\t",
    "{{ x }}", "{% if %}", "%20", "'; DROP TABLE", "```", "＜ＭＡＲＫＥＲ_ＬＩＳＴ＞",
    "<MАRKER_LIST>", "Hello", "?", " ",
)  # fmt: skip


def _value(rng: random.Random, taxonomy: Taxonomy, name: str) -> Any:
    kind = taxonomy.get(name)
    return rng.choice(kind.values) if kind.values else rng.choice((0, 1, 7, 42, 299, 1001, 999_999_999))


def _rows(taxonomy: Taxonomy) -> list[dict[str, Any]]:
    rng = random.Random(0)
    names = [name for name in taxonomy.names if name != "length_bucket"]
    rows = []
    for number in range(MANY):
        prompt = "".join(rng.choice(PIECES) for _ in range(rng.randint(1, 12)))
        # one count at most, since several may be against each other
        asked = rng.sample([name for name in names if not name.startswith("length")], k=rng.randint(0, 1))
        asked += rng.sample([name for name in names if name.startswith("length")], k=rng.randint(0, 1))
        rows.append(
            {"id": str(number), "prompt": prompt + "x", "ask": {n: _value(rng, taxonomy, n) for n in asked} or None}
        )
    return rows


def test_two_thousand_valid_blocks(sft: Path, tmp_path: Path) -> None:
    """No prompt brings a block out of its grammar or takes away a marker that was asked for, at a high temperature."""
    checkpoint = load_checkpoint(str(sft))
    template = checkpoint.template()
    rows = _rows(checkpoint.taxonomy)
    words = ["--input", write_rows(tmp_path / "rows.jsonl", rows), "--markers-column", "ask", "-o", tmp_path / "out"]
    settings = ["decode.max_new_tokens=2", "decode.temperature=2", "decode.batch_size=100"]
    done = ttm("generate", sft, *words, *(word for setting in settings for word in ("--set", setting)))
    assert done.code == 0, done.err
    answers = read_rows(tmp_path / "out")
    assert [answer["id"] for answer in answers] == [row["id"] for row in rows]
    for row, answer in zip(rows, answers, strict=True):
        block, closing, _ = answer["raw"].partition(template.closing + template.after)
        assert closing
        assert template.parse(block + template.closing) == answer["markers"]
        assert (row["ask"] or {}).items() <= answer["markers"].items()
        # the answer is free, so a model that learned next to nothing may begin it like another block
        assert answer["fault"] in ("", AGAIN)
