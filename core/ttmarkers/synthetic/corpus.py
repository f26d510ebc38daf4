"""A synthetic corpus: prompts and answers in seven languages, made from word lists.

It is skewed on purpose, so that some languages, tasks, domains and formats hold under 5 % of the rows. Everything
a marker says of a row can be checked on its answer by a program. Prompts tell the language, the task, the domain
and the format, but not the quality, and only in a third of the rows whether the answer is to be short or long.
Nothing in it is natural text or knowledge: it shows that the method works, not how well it would do elsewhere.

Each function is a pure function of its arguments. A third of all (language, task, subject) combinations is kept
out of the training rows, and the rows to evaluate on are made of that third only.
"""

from __future__ import annotations

import json
import random
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from ttmarkers.synthetic.words import Words, vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Row = dict[str, object]
T = TypeVar("T")

LANGUAGES: Mapping[str, float] = {
    "English": 46, "Spanish": 19, "French": 14, "German": 9, "Chinese": 6, "Italian": 3.5, "Dutch": 2.5,
}  # fmt: skip
TASKS: Mapping[str, float] = {
    "Explanation": 36, "QuestionAnswering": 28, "OpenEnded": 18, "CreativeWriting": 10,
    "Summarization": 4, "Rewrite": 3.5,
}  # fmt: skip
DOMAINS: Mapping[str, float] = {"Sciences": 40, "Technology": 31, "Culture": 20, "Finance": 3.5, "Legal": 3}
FORMATS: Mapping[str, float] = {"": 72, "Enumeration": 13, "JSON": 11, "Markdown": 4}
SENTENCES: Mapping[int, float] = {1: 15, 2: 24, 3: 26, 4: 20, 5: 15}
OPENERS: Mapping[str, str] = {"OpenEnded": "idea", "CreativeWriting": "day"}  # the others: "order"
HELD_OUT = 3  # one combination in this many is kept for evaluation
CROSSLINGUAL = 0.15  # the share of rows whose prompt is in another language than the answer
HINTED = 1 / 3  # the share of rows whose prompt says "be brief" or "give many details"
LIMITS = (10, 45)  # words: the shortest sentence has eight
LENGTH_PROMPT = "Answer the following instruction using {n} words or less.\n\n{instruction}"


@dataclass(frozen=True)
class Plan:
    """What one row is about, before any word of it is written."""

    language: str
    asked_in: str
    task: str
    domain: str
    subject: int
    format: str
    sentences: int
    hint: str
    quality: float


def held_out(language: str, task: str, domain: str, subject: int) -> bool:
    """Tell whether this combination is kept for evaluation."""
    key = f"{language}/{task}/{domain}/{subject}"
    return zlib.crc32(key.encode()) % HELD_OUT == 0


def _pick(rng: random.Random, weights: Mapping[T, float], flatten: float = 1.0) -> T:
    """Draw a key by its weight; ``flatten`` below 1 brings the weights closer together."""
    return rng.choices(list(weights), [weight**flatten for weight in weights.values()])[0]


def _plan(rng: random.Random, *, training: bool, language: str = "", crosslingual: bool | None = None) -> Plan:
    """Draw a row; rows to evaluate on are drawn flatter, so that the tail has enough of them."""
    flatten = 1.0 if training else 0.5
    wanted = language or _pick(rng, LANGUAGES, flatten)
    while True:
        task, domain = _pick(rng, TASKS, flatten), _pick(rng, DOMAINS, flatten)
        subject = rng.randrange(5)
        if held_out(wanted, task, domain, subject) != training:
            break
    crosses = rng.random() < CROSSLINGUAL if crosslingual is None else crosslingual
    others = {name: share for name, share in LANGUAGES.items() if name != wanted}
    sentences = _pick(rng, SENTENCES)
    hint = ""
    if rng.random() < HINTED and sentences != 3:
        hint = "brief" if sentences < 3 else "detailed"
    return Plan(
        language=wanted,
        asked_in=_pick(rng, others) if crosses else wanted,
        task=task,
        domain=domain,
        subject=subject,
        format=_pick(rng, FORMATS, flatten),
        sentences=sentences,
        hint=hint,
        quality=round(rng.random(), 3),
    )


def _prompt(plan: Plan, rng: random.Random, *, hinted: bool = True) -> str:
    """Write the question: the task and subject, then the format, the language and a hint where there is one."""
    words = vocabulary()[plan.asked_in]
    subject = words.subjects[plan.domain][plan.subject]
    parts = [_capital(rng.choice(words.tasks[plan.task]).format(s=subject))]
    if plan.format:
        parts.append(words.formats[plan.format])
    if hinted and plan.hint:
        parts.append(words.brief if plan.hint == "brief" else words.detailed)
    if plan.asked_in != plan.language:
        parts.append(words.answer_in.format(l=words.names[plan.language]))
    return words.join(*parts)


def _capital(sentence: str) -> str:
    """Begin with a capital letter."""
    return sentence[:1].upper() + sentence[1:]


def _statements(plan: Plan, words: Words, rng: random.Random) -> list[str]:
    """Say something of the subject in every sentence; the share that says nothing falls with the quality."""
    subject = words.subjects[plan.domain][plan.subject]
    facts = rng.sample(words.facts[plan.domain] + words.facts["Any"], plan.sentences)
    telling = round(plan.quality * plan.sentences)
    good = [True] * telling + [False] * (plan.sentences - telling)
    rng.shuffle(good)
    return [
        words.join(subject, fact) if is_good else rng.choice(words.vague)
        for fact, is_good in zip(facts, good, strict=True)
    ]


def _sentences(plan: Plan, words: Words, rng: random.Random) -> list[str]:
    """Write whole sentences, each with the opener of its place."""
    openers = words.openers[OPENERS.get(plan.task, "order")]
    if plan.format == "Markdown":
        openers = [f"**{opener}**" for opener in openers]
    statements = _statements(plan, words, rng)
    bodies = [_capital(statement) if words.capital else statement for statement in statements]
    return [words.join(opener, body) + words.stop for opener, body in zip(openers, bodies, strict=False)]


def _answer(plan: Plan, rng: random.Random) -> str:
    """Write the answer in its language and format."""
    words = vocabulary()[plan.language]
    sentences = _sentences(plan, words, rng)
    match plan.format:
        case "Enumeration":
            return "\n".join(f"- {sentence}" for sentence in sentences)
        case "Markdown":
            return "\n".join(sentences)
        case "JSON":
            return json.dumps({"text": words.join(*sentences)}, ensure_ascii=False)
        case _:
            return words.join(*sentences)


def _facets(plan: Plan) -> Row:
    """Return what the row says of itself."""
    return {
        "language": plan.language,
        "task": plan.task,
        "domain": plan.domain,
        "format": plan.format or None,
    }


def _markers(plan: Plan) -> Row:
    """Return the markers that are true of a row to evaluate on."""
    known = {"lang": plan.language, "task": plan.task, "domain": plan.domain, "format": plan.format}
    return {"markers": {name: value for name, value in known.items() if value}}


def training_rows(n: int, seed: int) -> list[Row]:
    """Make ``n`` rows to train on."""
    rng = random.Random(f"train/{seed}")
    rows: list[Row] = []
    for i in range(n):
        plan = _plan(rng, training=True)
        text: Row = {
            "id": f"train-{seed}-{i}",
            "prompt": _prompt(plan, rng),
            "completion": _answer(plan, rng),
        }
        rows.append(text | _facets(plan) | {"quality": plan.quality, "source": "Synthetic"})
    return rows


def distinct(n: int, make: Callable[[int], tuple[str, Row]]) -> list[Row]:
    """Return ``n`` rows with different texts.

    Args:
        n: how many.
        make: draws a row, given its number, and returns the text that must be its own with it.
    """
    rows: dict[str, Row] = {}
    while len(rows) < n:
        text, row = make(len(rows))
        rows.setdefault(text, row)
    return list(rows.values())


def length_rows(n: int, seed: int) -> list[Row]:
    """Make ``n`` different English instructions, each with a limit drawn from `LIMITS` whatever its answer is."""
    rng = random.Random(f"length/{seed}")

    def make(number: int) -> tuple[str, Row]:
        plan = _plan(rng, training=False, language="English", crosslingual=False)
        original, output = _prompt(plan, rng, hinted=False), _answer(plan, rng)
        limit = rng.randint(*LIMITS)
        instruction = LENGTH_PROMPT.format(n=limit, instruction=original)
        asked = {"instruction": instruction, "original_instruction": original, "max_len": limit, "output": output}
        return instruction, {"id": f"length-{seed}-{number}", **asked, **_facets(plan), **_markers(plan)}

    return distinct(n, make)


def language_rows(n: int, seed: int) -> list[Row]:
    """Make ``n`` different prompts, every other one in another language than the answer is asked for."""
    rng = random.Random(f"language/{seed}")
    names = list(LANGUAGES)

    def make(number: int) -> tuple[str, Row]:
        crosses = number % 2 == 1
        plan = _plan(rng, training=False, language=names[(number // 2) % len(names)], crosslingual=crosses)
        prompt = _prompt(plan, rng)
        asked = {
            "prompt": prompt,
            "target_lang": vocabulary()[plan.language].iso,
            "setting": "crosslingual" if crosses else "monolingual",
        }
        return prompt, {"id": f"language-{seed}-{number}", **asked, **_facets(plan), **_markers(plan)}

    return distinct(n, make)


def quality_rows(n: int, seed: int) -> list[Row]:
    """Make ``n`` different prompts with an answer of middling quality to compare with, in all languages."""
    rng = random.Random(f"quality/{seed}")

    def make(number: int) -> tuple[str, Row]:
        plan = replace(_plan(rng, training=False), quality=0.5)
        prompt, output = _prompt(plan, rng), _answer(plan, rng)
        name = f"quality-{seed}-{number}"
        return prompt, {"id": name, "prompt": prompt, "output": output, **_facets(plan), **_markers(plan)}

    return distinct(n, make)


def reward(text: str) -> float:
    """Return how much an answer says: the share of its sentences that hold a fact, the same one counted once.

    It stands in for a reward model on this corpus. The language of the answer is the one in which it says most.
    """
    return max(_telling(text, words) for words in vocabulary().values())


def _telling(text: str, words: Words) -> float:
    facts = {fact.casefold() for facts in words.facts.values() for fact in facts}
    sentences = [part.casefold() for part in text.replace("\n", words.stop).split(words.stop) if len(part.strip()) > 3]
    found = {fact for sentence in sentences for fact in facts if fact in sentence}
    return min(1.0, len(found) / len(sentences)) if sentences else 0.0
