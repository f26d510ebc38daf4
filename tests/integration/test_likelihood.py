"""What a benchmark asks of a model: answers with a task's settings, and how likely given answers are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch

from support import ok, ttm
from ttmarkers.config import make_config
from ttmarkers.decoding.language_model import Branch
from ttmarkers.decoding.writing import Begun
from ttmarkers.errors import CheckpointError, ConfigError, DataError
from ttmarkers.models.loading import load_model, load_tokenizer
from ttmarkers.records import Message, Request
from ttmarkers_plugins.lm_eval.backend import Backend
from ttmarkers_plugins.lm_eval.likelihood import score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from ttmarkers.decoding.language_model import Continuation, Written
    from ttmarkers.plugins.manager import Plugins

PROMPTS = ("Say hello to Bob.", "Dis bonjour à Anne.", "Sag Tom guten Tag.")
ANSWERS = ("Hello, dear Bob.", "Bonjour, cher Tom.", "x", "Guten Tag")


def asked(*prompts: str) -> dict[str, tuple[Message, ...]]:
    """Return prompts by name."""
    return {f"p{number}": (Message("user", prompt),) for number, prompt in enumerate(prompts)}


def backend(model: Path, plugins: Plugins, **decode: Any) -> Backend:
    """Return a model under settings of the section ``decode``."""
    return Backend(str(model), make_config({"decode": {"max_new_tokens": 12, **decode}}), plugins, {})


def directly(model: Path, before: str, answer: str) -> tuple[float, bool]:
    """Return what transformers makes of an answer behind a text, and whether it is the likeliest."""
    tokenizer, loaded = load_tokenizer(str(model)), load_model(str(model)).eval()
    first, rest = (tokenizer(text, add_special_tokens=False).input_ids for text in (before, before + answer))
    assert rest[: len(first)] == first
    with torch.inference_mode():
        logits = loaded(torch.tensor([rest])).logits[0, len(first) - 1 : -1].float().log_softmax(-1)
    wanted = torch.tensor(rest[len(first) :])
    return float(logits.gather(1, wanted[:, None]).sum()), bool((logits.argmax(-1) == wanted).all())


def raw(model: Path, prompt: str, *words: object) -> tuple[str, str]:
    """Return the whole text that ``ttm generate`` writes to a prompt, and what of it is no answer."""
    row = ok(ttm("generate", model, prompt, "--json", "--set", "decode.max_new_tokens=12", *words)).json()
    assert row["raw"].endswith(row["text"])
    return row["raw"], row["raw"].removesuffix(row["text"])


@pytest.mark.parametrize(
    ("decode", "words", "given"),
    [
        ({}, (), ""),
        ({"policy": "posterior"}, ("--policy", "posterior"), ""),
        ({"markers": {"lang": "fr"}}, ("-m", "lang=fr"), " <MARKER_LIST> <lang> French </lang> </MARKER_LIST>"),
        ({"policy": "none"}, ("--policy", "none"), ""),
    ],
    ids=["inferred", "posterior", "fixed", "none"],
)
def test_behind_prompt_and_block(
    sft: Path, plugins: Plugins, decode: Mapping[str, Any], words: tuple[str, ...], given: str
) -> None:
    """An answer's likelihood is that behind the prompt as it is asked and the block that the policy writes there."""
    pairs = [(f"p{number}", answer) for number in range(len(PROMPTS)) for answer in ANSWERS]
    found = backend(sft, plugins, **decode).likelihoods(asked(*PROMPTS), pairs)
    for (name, answer), likelihood in zip(pairs, found, strict=True):
        prompt = PROMPTS[int(name[1:])]
        block = "" if decode.get("policy") == "none" else raw(sft, prompt, *words)[1]
        assert block.startswith("<MARKER_LIST>") == (decode.get("policy") != "none")
        value, greedy = directly(sft, prompt + given + "\n" + block, answer)
        assert likelihood.value == pytest.approx(value, abs=1e-3)
        assert likelihood.greedy == greedy


class Counting:
    """A language model of four tokens that thinks the next one the likeliest, the more so the longer the row."""

    vocabulary, context = 4, None

    def logits(self, rows: Sequence[Sequence[int]], counts: Sequence[int]) -> list[Tensor]:
        """Return logits after the last tokens of each row."""
        return [
            torch.stack([self.after(row[: len(row) - place]) for place in reversed(range(count))])
            for row, count in zip(rows, counts, strict=True)
        ]

    def after(self, row: Sequence[int]) -> Tensor:
        """Return the logits after a row."""
        return torch.eye(4)[(row[-1] + 1) % 4] * len(row)

    def write(self, rows: Sequence[Continuation]) -> list[Written]:
        """Write nothing."""
        raise NotImplementedError


def test_likelihood_of_tokens() -> None:
    """Tokens are scored each after those before it; greedy is what has the likeliest token everywhere."""
    model = Counting()
    begun = Begun(Request("a", ()), [0, 1])
    found = score(model, [(begun, [2, 3]), (begun, [2, 0]), (begun, []), (begun, [3])])
    chances = [model.after(row).log_softmax(-1) for row in ([0, 1], [0, 1, 2])]
    assert [each.value for each in found] == pytest.approx(
        [float(chances[0][2] + chances[1][3]), float(chances[0][2] + chances[1][0]), 0.0, float(chances[0][3])]
    )
    assert [each.greedy for each in found] == [True, False, True, False]


def test_likelihood_under_guidance() -> None:
    """Branches count by their weights, and what they make together is a distribution again."""
    model = Counting()
    led = Begun(Request("a", ()), [0, 1], branches=(Branch([3, 2, 3], -0.5), Branch([1], 0.25)))
    every = [score(model, [(led, [token])])[0] for token in range(4)]
    logs = [model.after(row).log_softmax(-1) for row in ([0, 1], [3, 2, 3], [1])]
    wanted = (1.25 * logs[0] - 0.5 * logs[1] + 0.25 * logs[2]).log_softmax(-1)
    assert [each.value for each in every] == pytest.approx(wanted.tolist())
    assert [each.greedy for each in every] == [False, False, True, False]
    assert sum(math.exp(each.value) for each in every) == pytest.approx(1)


def test_batches_change_nothing(sft: Path, plugins: Plugins) -> None:
    """A likelihood is the same alone and in a batch."""
    pairs = [(f"p{number}", answer) for number in range(len(PROMPTS)) for answer in ANSWERS]
    one, many = (
        [each.value for each in backend(sft, plugins, batch_size=size).likelihoods(asked(*PROMPTS), pairs)]
        for size in (1, 7)
    )
    assert one == pytest.approx(many, abs=1e-3)


def test_guidance(sft: Path, plugins: Plugins) -> None:
    """Under guidance the likelihood is that of the mixture; at a strength of 1 it is that of fixed."""
    pairs = [(f"p{number}", answer) for number in range(len(PROMPTS)) for answer in ANSWERS]
    markers = {"lang": "French"}
    plain = backend(sft, plugins, markers=markers).likelihoods(asked(*PROMPTS), pairs)
    for strength, same in ((1, True), (3, False)):
        options = {"guided": {"strength": strength}}
        led = backend(sft, plugins, policy="guided", markers=markers, options=options)
        values = [each.value for each in led.likelihoods(asked(*PROMPTS), pairs)]
        assert (values == pytest.approx([each.value for each in plain], abs=1e-3)) == same


def test_progress(sft: Path, plugins: Plugins) -> None:
    """What is done is told."""
    told: list[int] = []
    backend(sft, plugins, batch_size=2).likelihoods(asked("Hi."), [("p0", answer) for answer in "abc"], told.append)
    assert told == [2, 1]


def test_stops_end_the_answer_and_not_the_block(sft: Path, plugins: Plugins) -> None:
    """A stop text that stands in the block too ends nothing there; limits and sampling are the task's."""
    model = backend(sft, plugins)
    whole = [generation.text for generation in model.generate(asked(*PROMPTS), most=24)]
    told = [raw(sft, prompt, "--set", "decode.max_new_tokens=24")[0] for prompt in PROMPTS]
    assert whole == [text.partition("</MARKER_LIST>\n")[2] for text in told]
    stop = next(sign for sign in whole[0] if sign.strip())
    for generation, text in zip(model.generate(asked(*PROMPTS), [stop, ">", "\n"], 24), whole, strict=True):
        assert generation.block.endswith("</MARKER_LIST>")
        ends = [text.find(each) for each in (stop, ">", "\n") if each in text]
        assert generation.text == text[: min(ends, default=len(text))]
    drawn = list(model.generate(asked(*PROMPTS), settings={"do_sample": True, "temperature": 2.0}))
    greedy = list(model.generate(asked(*PROMPTS), settings={"do_sample": False, "temperature": 0.0, "top_p": 0.5}))
    assert [each.text for each in greedy] == [each.text for each in model.generate(asked(*PROMPTS))]
    assert [each.text for each in drawn] != [each.text for each in greedy]
    with pytest.raises(ConfigError, match=r"decode\.num_bems is a key neither of ttmarkers nor"):
        list(model.generate(asked("Hi."), settings={"num_bems": 1}))


def test_what_cannot_be_asked(sft: Path, baseline: Path, plugins: Plugins, tmp_path: Path) -> None:
    """What has no likelihood, or no room, is told before anything is scored."""
    with pytest.raises(ConfigError, match="the policy answers a prompt several times"):
        backend(sft, plugins, policy="best-of").likelihoods(asked("Hi."), [("p0", "Hello")])
    for prompt, answer in (("word " * 3000, "x"), ("Hi.", "word " * 3000)):
        with pytest.raises(DataError, match=r"^p0: .*the model(?:'s context| reads)"):
            backend(sft, plugins).likelihoods(asked(prompt), [("p0", answer)])
    with pytest.raises(ConfigError, match="unknown policy 'inferd'"):
        backend(sft, plugins, policy="inferd")
    with pytest.raises(CheckpointError, match="trained without markers"):
        backend(baseline, plugins, markers={"lang": "French"})
    assert backend(baseline, plugins).policy == "none"


def test_texts_alone(baseline: Path, plugins: Plugins) -> None:
    """Tokens are scored behind others as they stand."""
    model = backend(baseline, plugins)
    before, tokens = model.tokens("Hello,"), model.tokens(" dear Bob.")
    value, _ = directly(baseline, "Hello,", " dear Bob.")
    assert model.plain([(before, tokens)]) == [pytest.approx(value, abs=1e-3)]
