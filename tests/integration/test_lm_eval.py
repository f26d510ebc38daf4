"""Models scored by lm-evaluation-harness, on local tasks: the same answers as ``ttm generate`` gives."""

from __future__ import annotations

import importlib.util
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from support import ok, ttm, write_rows
from ttmarkers.errors import ConfigError
from ttmarkers_plugins.lm_eval import NAME, __main__, register

if TYPE_CHECKING:
    from pathlib import Path

    from ttmarkers_plugins.lm_eval.model import MarkersLM

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("lm_eval") is None, reason="lm-eval is not installed: pip install 'ttmarkers[lm-eval]'"
    ),
    pytest.mark.filterwarnings("ignore"),  # the harness's own
]

PROMPTS = ("Say hello to Bob.", "Dis bonjour à Anne.", "Sag Tom guten Tag.", "Hello!", "Bonjour ?", "Guten Tag, Eva.")
CHOICES = ("Hello", "Bonjour", "Guten Tag")
LENGTH = ("--set", "decode.max_new_tokens=16")
GENERATE = """\
task: greeting
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{prompt}}}}"
doc_to_target: "{{{{target}}}}"
generation_kwargs: {{until: ["</MARKER_LIST>", "\\u2603"], max_gen_toks: 16}}
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true}}
metadata: {{version: 1}}
"""
CHOOSE = """\
task: choosing
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{prompt}}}}"
doc_to_choice: [Hello, Bonjour, Guten Tag]
doc_to_target: "{{{{best}}}}"
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
metadata: {{version: 1}}
"""


@pytest.fixture(scope="module")
def answers(sft: Path, baseline: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """What ``ttm generate`` answers, by policy."""
    rows = [{"id": f"p{number}", "prompt": prompt} for number, prompt in enumerate(PROMPTS)]
    source = write_rows(tmp_path_factory.mktemp("asked") / "prompts.jsonl", rows)
    ways: dict[str, tuple[Path, tuple[str, ...]]] = {
        "none": (baseline, ()),
        "inferred": (sft, ()),
        "fixed": (sft, ("-m", "lang=French")),
    }
    return {
        policy: ok(ttm("generate", model, "--input", source, "--json", *LENGTH, *words)).lines()
        for policy, (model, words) in ways.items()
    }


@pytest.fixture
def tasks(answers: dict[str, list[dict[str, Any]]], tmp_path: Path) -> Path:
    """Return a folder with two tasks; what the model with markers answers is right for every other row."""
    rows = [
        {"prompt": prompt, "target": row["text"] if number % 2 else "something else", "best": number % 3}
        for number, (prompt, row) in enumerate(zip(PROMPTS, answers["inferred"], strict=True))
    ]
    data = write_rows(tmp_path / "rows.jsonl", rows)
    for name, text in (("greeting", GENERATE), ("choosing", CHOOSE)):
        (tmp_path / f"{name}.yaml").write_text(text.format(data=data), encoding="utf-8")
    return tmp_path


def evaluated(folder: Path, task: str, **arguments: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the harness's figures and samples of one task."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    register()
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    found = lm_eval.simple_evaluate(
        NAME, model_args=arguments, tasks=[task], task_manager=manager, bootstrap_iters=0, batch_size=4
    )
    return found["results"][task], sorted(found["samples"][task], key=lambda sample: sample["doc_id"])


@pytest.mark.parametrize("policy", ["none", "inferred", "fixed"])
def test_same_answers(
    policy: str, sft: Path, baseline: Path, tasks: Path, answers: dict[str, list[dict[str, Any]]]
) -> None:
    """The scorer gets the answers that ``ttm generate`` gives, without their blocks, and so the same figure."""
    model = baseline if policy == "none" else sft
    more = {"markers": "lang=French", "policy": "fixed"} if policy == "fixed" else {}
    figures, samples = evaluated(tasks, "greeting", pretrained=str(model), **more)
    texts = [sample["filtered_resps"][0] for sample in samples]
    assert texts == [row["text"] for row in answers[policy]]
    if policy != "none":
        # a model that learned for four steps may write a tag anywhere; its block is what stands before the answer
        blocks = [row["raw"].removesuffix(text) for row, text in zip(answers[policy], texts, strict=True)]
        assert all(block.startswith("<MARKER_LIST> ") and block.endswith("</MARKER_LIST>\n") for block in blocks)
        assert not any(text.startswith("<MARKER_LIST>") for text in texts)
    right = [text == sample["target"] for text, sample in zip(texts, samples, strict=True)]
    assert figures["exact_match,none"] == pytest.approx(sum(right) / len(right))
    if policy == "inferred":
        assert sum(right) >= len(PROMPTS) / 2


@pytest.mark.parametrize("policy", ["none", "inferred"])
def test_choices(policy: str, sft: Path, tasks: Path) -> None:
    """A choice is as likely as behind prompt and block; the harness's white space before it is left out."""
    from ttmarkers_plugins.lm_eval.model import MarkersLM

    figures, samples = evaluated(tasks, "choosing", pretrained=str(sft), policy=policy)
    model = MarkersLM(str(sft), policy=policy)
    hits = []
    for sample in samples:
        prompts = {"a": (_user(sample["doc"]["prompt"]),)}
        wanted = model._backend.likelihoods(prompts, [("a", choice) for choice in CHOICES])
        for (value, greedy), likelihood in zip(sample["filtered_resps"], wanted, strict=True):
            assert value == pytest.approx(likelihood.value, abs=1e-3)
            assert greedy == likelihood.greedy
        values = [likelihood.value for likelihood in wanted]
        hits.append(values.index(max(values)) == sample["doc"]["best"])
    assert figures["acc,none"] == pytest.approx(sum(hits) / len(hits))


def _user(text: str) -> Any:
    from ttmarkers.records import Message

    return Message("user", text)


def instances(kind: str, *arguments: tuple[Any, ...]) -> list[Any]:
    """Return requests of the harness."""
    from lm_eval.api.instance import Instance

    return [Instance(kind, {}, given, 0, ("made", number, 1)) for number, given in enumerate(arguments)]


@pytest.fixture
def model(sft: Path) -> MarkersLM:
    """The model class around the model with markers."""
    from ttmarkers_plugins.lm_eval.model import MarkersLM

    return MarkersLM(str(sft), max_new_tokens=8, batch_size="auto")


def test_conversations(model: MarkersLM, sft: Path, tmp_path: Path) -> None:
    """With --apply_chat_template, turns stay turns: the answer is that to the same messages."""
    turns = [
        {"role": "user", "content": "Say hello to Ann."},
        {"role": "assistant", "content": "Hello, dear Ann."},
        {"role": "user", "content": "Say hello to Bob."},
    ]
    context = model.apply_chat_template(turns)
    (text,) = model.generate_until(instances("generate_until", (context, {"until": ["☃"]})), disable_tqdm=True)
    source = write_rows(tmp_path / "turns.jsonl", [{"id": "1", "messages": turns}])
    words = ["--input", source, "--json", "--set", "decode.max_new_tokens=8"]
    assert text == ok(ttm("generate", sft, *words)).lines()[0]["text"]
    assert model.tokenizer_name
    with pytest.raises(ConfigError, match="the task begins the answer itself"):
        model.apply_chat_template(turns, add_generation_prompt=False)


def test_settings_of_each_request(model: MarkersLM) -> None:
    """Requests with other settings are answered in order; repeats draw anew, and again the same in the next run."""
    short, long = {"until": [], "max_gen_toks": 2}, {"until": "☃", "max_gen_toks": 20, "do_sample": False}
    requests = instances("generate_until", ("Hi.", short), ("Hi.", long), ("Say hello to Bob.", short))
    found = model.generate_until(requests, disable_tqdm=True)
    assert found[1].startswith(found[0])
    assert len(found[1]) > len(found[0])
    drawn = instances("generate_until", ("Hi.", {"until": [], "do_sample": True, "temperature": 3.0})) * 3
    first, again = (model.generate_until(drawn, disable_tqdm=True) for _ in range(2))
    assert first == again
    assert len(set(first)) > 1


def test_whole_texts(model: MarkersLM, baseline: Path) -> None:
    """A text alone has no block before it, so it is scored under policy none only; long ones in windows."""
    from ttmarkers_plugins.lm_eval.model import MarkersLM

    with pytest.raises(ConfigError, match="use policy=none"):
        model.loglikelihood_rolling(instances("loglikelihood_rolling", ("Hello",)))
    plain = MarkersLM(str(baseline))
    texts = ("Hello, dear Bob.", "", "Hello, dear Bob. " * 400)
    short, empty, long = plain.loglikelihood_rolling(instances("x", *((text,) for text in texts)), disable_tqdm=True)
    tokens = plain._backend.tokens("Hello, dear Bob.")
    assert short == pytest.approx(plain._backend.plain([([plain.tokenizer.eos_token_id], tokens)])[0], abs=1e-3)
    assert empty == 0
    assert long < 100 * short / 2


def test_command_line(
    sft: Path, tasks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The harness's command line knows the model, its own options and its own models; our errors are one sentence."""
    words = ["run", "--model", NAME, "--include_path", tasks, "--tasks", "greeting", "--output_path", tasks / "out"]
    arguments = ["--model_args", f"pretrained={sft},policy=fixed,markers=lang=French;length_tokens=5"]
    monkeypatch.setattr(sys, "argv", ["lm-eval", *map(str, words), *arguments])
    __main__.main()
    assert "exact_match" in capsys.readouterr().out
    (path,) = (tasks / "out").rglob("results_*.json")
    config = json.loads(path.read_bytes())["config"]
    assert (config["policy"], config["markers"]) == ("fixed", {"length_tokens": 5, "lang": "French"})
    monkeypatch.setattr(sys, "argv", ["lm-eval", *map(str, words), "--model_args", f"pretrained={sft},policy=fixd"])
    with pytest.raises(SystemExit) as stop:
        __main__.main()
    assert stop.value.code == 2
    assert "ttm: unknown policy 'fixd' (policy): did you mean 'fixed'?" in capsys.readouterr().err
    from lm_eval.api.registry import get_model

    assert get_model("hf").__name__ == "HFLM"


def test_recipe_without_our_class() -> None:
    """The harness's own model class takes a block off, if it is told what ends it."""
    from lm_eval.models.utils import postprocess_generated_text

    raw = "<MARKER_LIST> <lang> English </lang> </MARKER_LIST>\nHello.\n\nNext"
    assert postprocess_generated_text(raw, ["\n\n"], "</MARKER_LIST>") == "Hello."
