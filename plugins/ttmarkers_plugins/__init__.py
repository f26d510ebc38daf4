"""The built-in components, offered through the same hooks as any plugin's. Nothing heavy is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ttmarkers.components import (
    ExtractorComponent,
    GuideComponent,
    MarkerType,
    PolicyComponent,
    ProfileComponent,
    StrategyComponent,
    TaskComponent,
    TemplateComponent,
)
from ttmarkers.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = "ttmarkers_plugins"
PROFILES = {
    "alpaca": "Stanford Alpaca, AlpaGasus and sets of their form.",
    "alpaca-translated": "Alpaca rows in another language.",
    "aya": "CohereLabs/aya_dataset.",
    "chatdoctor": "ChatDoctor: medical questions.",
    "code-alpaca": "Code Alpaca.",
    "dolly": "databricks-dolly-15k.",
    "gsm8k": "openai/gsm8k.",
    "lima": "LIMA.",
    "lima-translated": "LIMA in another language.",
    "no-robots": "HuggingFaceH4/no_robots.",
    "oasst": "OpenAssistant conversations.",
    "openorca": "Open-Orca/OpenOrca.",
    "parallel": "One sentence in each of the 23 languages, a column for each.",
    "ultrachat": "HuggingFaceH4/ultrachat_200k.",
}


@hookimpl
def ttm_marker_types() -> Iterator[MarkerType]:
    """Yield the paper's thirteen marker types."""
    from ttmarkers_plugins.marker_types import PAPER_TYPES

    yield from PAPER_TYPES


@hookimpl
def ttm_extractors() -> Iterator[ExtractorComponent]:
    """Yield the extractors of the markers that a row shows by itself."""
    yield ExtractorComponent(
        "langid",
        "Language of the completion, by script, fastText and lingua.",
        f"{HERE}.extractors.language:LanguageExtractor",
        markers=("lang",),
    )
    yield ExtractorComponent(
        "spacy-length",
        "Tokens and sentences of the completion, by spaCy's tokenizer for its language.",
        f"{HERE}.extractors.length:SpacyLengthExtractor",
        markers=("length_tokens", "length_sentences"),
        needs=("lang",),
    )
    yield ExtractorComponent(
        "code-type",
        "Programming language: the fence's word, else idioms and Magika.",
        f"{HERE}.extractors.code:CodeTypeExtractor",
        markers=("code_type",),
    )
    yield ExtractorComponent(
        "layout",
        "Format of the completion, by its structure; JSON and XML must parse.",
        f"{HERE}.extractors.format:FormatExtractor",
        markers=("format",),
        reads=("prompt", "completion"),
    )
    yield ExtractorComponent(
        "reward-model",
        "Quality, by a sequence-classification model of transformers (option model).",
        f"{HERE}.extractors.quality:RewardModelExtractor",
        markers=("quality",),
        reads=("prompt", "completion"),
        default=False,
    )
    yield ExtractorComponent(
        "quality-quartiles",
        "Quartile of quality within the language; 1 is best.",
        f"{HERE}.extractors.quality:QualityBucketExtractor",
        markers=("quality_bucket",),
        reads=("markers",),
        needs=("quality", "lang"),
        fits=True,
    )
    yield ExtractorComponent(
        "paragraphs",
        "Paragraphs of the completion, separated by blank lines.",
        f"{HERE}.extractors.length:ParagraphExtractor",
        markers=("length_paragraphs",),
    )
    yield ExtractorComponent(
        "length-bucket",
        "concise, medium or long, from length_tokens.",
        f"{HERE}.extractors.length:LengthBucketExtractor",
        markers=("length_bucket",),
        reads=("markers",),
        needs=("length_tokens",),
    )
    yield ExtractorComponent(
        "llm",
        "Any marker with a guide, by a language model behind an OpenAI-compatible endpoint (options model, base_url).",
        f"{HERE}.llm.extractor:LlmExtractor",
        reads=("prompt", "completion"),
        default=False,
        guided=True,
        patient=True,
        neutral=("base_url", "key_variable", "cache", "concurrency", "timeout", "retries", "price_in", "price_out"),
    )
    yield ExtractorComponent(
        "embedding",
        "Any category with a guide, by the nearest definitions and examples; no endpoint, no training.",
        f"{HERE}.tagger.embedding:EmbeddingExtractor",
        reads=("prompt", "completion"),
        default=False,
        guided=True,
    )
    yield ExtractorComponent(
        "lm",
        "Any category with a guide, by the likelihood that a causal model gives its values (option model).",
        f"{HERE}.tagger.likelihood:LikelihoodExtractor",
        reads=("prompt", "completion"),
        default=False,
        guided=True,
    )
    yield ExtractorComponent(
        "distilled",
        "Any category, by a small classifier that ttm tagger train made (option tagger).",
        f"{HERE}.tagger.distilled:DistilledExtractor",
        reads=("prompt", "completion"),
        default=False,
    )


@hookimpl
def ttm_templates() -> Iterator[TemplateComponent]:
    """Yield the shipped block templates."""
    yield TemplateComponent("paper", "The paper's block, in angle brackets.", "ttmarkers_templates:blocks/paper.jinja")
    yield TemplateComponent(
        "several", "The paper's, with all values of a marker.", "ttmarkers_templates:blocks/several.jinja"
    )
    yield TemplateComponent("compact", "Fewer tokens: [[name=value; ...]].", "ttmarkers_templates:blocks/compact.jinja")
    yield TemplateComponent("json", "One JSON object on a line.", "ttmarkers_templates:blocks/json.jinja")


@hookimpl
def ttm_training_strategies() -> Iterator[StrategyComponent]:
    """Yield the shipped training strategies."""
    yield StrategyComponent(
        "sft",
        "The paper's: markers in prompt (after dropout) and target; TRL's SFTTrainer.",
        f"{HERE}.strategies.sft:Sft",
    )
    yield StrategyComponent(
        "prompt-only",
        "Markers in the prompt alone, no block in the target; to compare with.",
        f"{HERE}.strategies.sft:PromptOnly",
    )
    yield StrategyComponent(
        "cooldown",
        "As sft, but the end of the run (train.cooldown) is trained without markers.",
        f"{HERE}.strategies.sft:Cooldown",
    )
    yield StrategyComponent(
        "lora",
        "As sft, but an adapter is trained (PEFT; keys in train.lora).",
        f"{HERE}.strategies.sft:Lora",
    )
    yield StrategyComponent(
        "baseline",
        "The same rows in the same order without markers, to compare with.",
        f"{HERE}.strategies.sft:Baseline",
    )


@hookimpl
def ttm_decoding_policies() -> Iterator[PolicyComponent]:
    """Yield the shipped decoding policies."""
    yield PolicyComponent(
        "none", "The plain prompt, for models without markers.", f"{HERE}.policies.basic:Plain", asks="none"
    )
    yield PolicyComponent(
        "inferred",
        "No marker is given; the model writes the block itself.",
        f"{HERE}.policies.basic:Inferred",
    )
    yield PolicyComponent(
        "fixed",
        "The given markers go into the prompt, the model infers the rest.",
        f"{HERE}.policies.basic:Fixed",
        asks="fixed",
    )
    yield PolicyComponent(
        "posterior",
        "Each marker takes its likeliest value, with its probability, or none below a threshold.",
        f"{HERE}.policies.posterior:Posterior",
    )
    yield PolicyComponent(
        "guided",
        "As fixed, and the answer is led towards the given markers and away from others.",
        f"{HERE}.policies.guided:Guided",
        asks="fixed",
    )
    yield PolicyComponent(
        "best-of",
        "Answers to the likeliest blocks, of which a scorer takes the best.",
        f"{HERE}.policies.best_of:BestOf",
    )


@hookimpl
def ttm_tasks() -> Iterator[TaskComponent]:
    """Yield the shipped evaluation tasks."""
    yield TaskComponent(
        "length", "Answers that keep a length limit (AlpacaEval-LI).", f"{HERE}.tasks.length:LengthTask"
    )
    yield TaskComponent(
        "control", "Answers as near as asked to a length in tokens.", f"{HERE}.tasks.control:ControlTask"
    )
    yield TaskComponent(
        "language",
        "Answers in the language that was asked for (Language Confusion Benchmark, line level).",
        f"{HERE}.tasks.language:LanguageTask",
    )
    yield TaskComponent(
        "markers",
        "Markers that the model infers against the row's own, and whether answers show those given.",
        f"{HERE}.tasks.markers:MarkersTask",
    )
    yield TaskComponent(
        "frontier", "One marker swept: adherence, reward, and what else changes.", f"{HERE}.tasks.frontier:FrontierTask"
    )
    yield TaskComponent(
        "quality", "The quality lever, by a reward model or a program.", f"{HERE}.tasks.quality:QualityTask"
    )
    yield TaskComponent(
        "winrate",
        "Pairwise judging by a language model behind an OpenAI-compatible endpoint.",
        f"{HERE}.tasks.winrate:WinrateTask",
    )
    yield TaskComponent("code-repair", "Programs repaired (HumanEvalPack, QuixBugs).", f"{HERE}.tasks.code:RepairTask")
    yield TaskComponent(
        "code-generation", "Programs written (HumanEval, HumanEvalPack).", f"{HERE}.tasks.code:GenerationTask"
    )
    yield TaskComponent(
        "code-translation",
        "Programs translated into another programming language (HumanEvalPack).",
        f"{HERE}.tasks.code:TranslationTask",
    )
    yield TaskComponent("translation", "Translation: BLEU, chrF, COMET.", f"{HERE}.tasks.translation:TranslationTask")


@hookimpl
def ttm_guides() -> Iterator[GuideComponent]:
    """Yield definitions and examples of the paper's values: English first, then examples in its other languages."""
    from ttmarkers_plugins.marker_types import LANGUAGES

    for name, code in LANGUAGES.items():
        summary = "Definitions and examples, in English." if code == "en" else f"Examples in {name}."
        yield GuideComponent(code, summary, f"ttmarkers_templates:guides/{code}.yaml")


@hookimpl
def ttm_profiles() -> Iterator[ProfileComponent]:
    """Yield profiles of well-known data sets."""
    for name, summary in PROFILES.items():
        yield ProfileComponent(name, summary, f"ttmarkers_templates:profiles/{name}.yaml")
