"""Models, tokenizers and disks that training cannot use: one sentence each, and nothing half-written."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from support import TRAIN, TTM, environment, train, ttm
from ttmarkers.models.loading import load_model, load_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def changed(sft: Path, tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], None]], Path]:
    """Copy the marked model, and change its tokenizer's config; its markers are taken away."""

    def make(change: Callable[[dict[str, Any]], None]) -> Path:
        folder = tmp_path / "base"
        shutil.copytree(sft, folder)
        (folder / "markers.json").unlink()
        path = folder / "tokenizer_config.json"
        config = json.loads(path.read_bytes())
        change(config)
        path.write_text(json.dumps(config), encoding="utf-8")
        return folder

    return make


def test_no_pad_token(changed: Any, marked: Path, tmp_path: Path) -> None:
    """A tokenizer without pad token pads with its end token, which still carries its loss where it ends an answer."""
    base = changed(lambda config: config.pop("pad_token"))
    assert load_tokenizer(str(base)).pad_token is None
    output = tmp_path / "model"
    done = ttm("train", marked, "--model", base, "-o", output, *TRAIN, "--set", "train.max_steps=1")
    assert done.code == 0, done.err
    log = json.loads((output / "log.json").read_bytes())
    assert log[0]["answer_loss"] > 0
    assert ttm("generate", output, "Hi", "--set", "decode.max_new_tokens=4").code == 0


def test_no_end_token(changed: Any, marked: Path, tmp_path: Path) -> None:
    """A tokenizer without end token is refused."""
    base = changed(lambda config: config.pop("eos_token"))
    done = ttm("train", marked, "--model", base, "-o", tmp_path / "model", *TRAIN)
    assert (done.code, (tmp_path / "model").exists()) == (2, False)
    assert "has no end-of-sequence token, so answers would never end: set its eos_token" in done.err


def test_tokenizer_larger_than_the_model(sft: Path, marked: Path, tmp_path: Path) -> None:
    """Tied embeddings with fewer rows than the tokenizer has tokens: refused with both numbers."""
    base = tmp_path / "base"
    shutil.copytree(sft, base)
    (base / "markers.json").unlink()
    model, tokenizer = load_model(str(base)), load_tokenizer(str(base))
    assert model.config.tie_word_embeddings
    rows = model.get_input_embeddings().num_embeddings
    tokenizer.add_tokens([f"<new {number}>" for number in range(rows - len(tokenizer) + 3)])
    tokenizer.save_pretrained(base)
    done = ttm("train", marked, "--model", base, "-o", tmp_path / "model", *TRAIN)
    assert (done.code, (tmp_path / "model").exists()) == (2, False)
    assert f"its tokenizer has {len(tokenizer)} tokens and the model only {rows}" in done.err


def test_chat_template_that_rewrites(changed: Any, marked: Path, tmp_path: Path) -> None:
    """A chat template that cannot be made stable is refused with the tokens, before anything is trained."""
    template = (
        "{% if messages[-1].role == 'assistant' %}done: {% endif %}{% for m in messages %}{{ m.content }}\n{% endfor %}"
    )
    base = changed(lambda config: None)
    (base / "chat_template.jinja").write_text(template, encoding="utf-8")
    done = ttm("train", marked, "--model", base, "-o", tmp_path / "model", *TRAIN)
    assert (done.code, (tmp_path / "model").exists()) == (2, False)
    assert "the model's chat template writes the prompt otherwise when an answer follows" in done.err
    assert "tokens [" in done.err


@pytest.mark.parametrize("broken", ["config.json", "model.safetensors", "tokenizer.json"])
def test_damaged_models(sft: Path, marked: Path, tmp_path: Path, broken: str) -> None:
    """A model's file that is cut off is told in one sentence."""
    base = tmp_path / "base"
    shutil.copytree(sft, base)
    (base / broken).write_bytes((base / broken).read_bytes()[:100])
    done = ttm("train", marked, "--model", base, "-o", tmp_path / "model", *TRAIN)
    assert (done.code, (tmp_path / "model").exists()) == (2, False)
    assert f"model {str(base)!r}" in done.err
    assert "Traceback" not in done.err


def _small_disk(words: list[str], megabytes: int, place: Path) -> subprocess.CompletedProcess[str]:
    """Run a command with a small disk of its own mounted at a place, and look at what it leaves there."""
    mount = f'mount -t tmpfs -o size={megabytes}m none "{place}" || exit 99; "$@"; code=$?'
    mount += f'; ls -A "{place}/out" >&2; exit $code'
    return subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "bash", "-c", mount, "bash", *words],
        env=environment(), capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("megabytes", [1, 4])
def test_full_disk(marked: Path, tmp_path: Path, megabytes: int) -> None:
    """A disk that is full when the tokenizer or a checkpoint is written: one sentence, no ``markers.json``."""
    place = tmp_path / "disk"
    place.mkdir()
    if not shutil.which("unshare") or _small_disk(["true"], 1, place).returncode:
        pytest.skip("no disk can be mounted here")
    words = ["train", marked, "--model", "scratch:tiny", "-o", place / "out", *TRAIN, "--set", "train.save_steps=1"]
    done = _small_disk([str(TTM), *map(str, words)], megabytes, place)
    assert done.returncode == 1
    assert "the disk is full: make room and go on with --resume, or name another -o" in done.stderr
    assert "Traceback" not in done.stderr
    assert "markers.json" not in done.stderr.splitlines()


def test_models_without_chat_template_are_the_rule_here(sft: Path, marked: Path, tmp_path: Path) -> None:
    """A model with a chat template is trained in its form, and ends its answers as the template ends a turn."""
    base = tmp_path / "base"
    shutil.copytree(sft, base)
    (base / "markers.json").unlink()
    (base / "chat_template.jinja").write_text(
        "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}<|end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}",
        encoding="utf-8",
    )
    output = train(marked, tmp_path / "model", "--model", str(base))
    assert json.loads((output / "generation_config.json").read_bytes())["eos_token_id"]
    answer = ttm("generate", output, "Say hello to Bob.", "--json", "--set", "decode.max_new_tokens=200").json()
    assert answer["fault"] == ""
