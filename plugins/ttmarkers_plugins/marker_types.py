"""The taxonomy of the paper (D'souza et al. 2025, table 1): 13 marker types.

The paper contradicts itself in places; the spellings here are its table's, with ``Finance`` from its figure and its
annotation prompt. The profile ``paper-strict`` leaves ``Finance`` out.
"""

from __future__ import annotations

from ttmarkers.components import MarkerType

CODE_TYPES = (
    "python", "javascript", "cpp", "cobol", "java", "go", "rust", "swift", "csharp", "php", "typescript", "shell", "c",
    "kotlin", "ruby", "haskell", "sql",
)  # fmt: skip

CODE_ALIASES = {
    "py": "python", "python3": "python", "js": "javascript", "node": "javascript", "jsx": "javascript",
    "c++": "cpp", "cc": "cpp", "cxx": "cpp", "hpp": "cpp", "golang": "go", "rs": "rust", "cs": "csharp",
    "c#": "csharp", "ts": "typescript", "tsx": "typescript", "sh": "shell", "bash": "shell", "zsh": "shell",
    "kt": "kotlin", "rb": "ruby", "hs": "haskell", "cbl": "cobol", "cob": "cobol", "h": "c",
    "mysql": "sql", "postgresql": "sql", "sqlite": "sql",
}  # fmt: skip

LANGUAGES = {
    "English": "en", "French": "fr", "Spanish": "es", "Italian": "it", "German": "de", "Portuguese": "pt",
    "Japanese": "ja", "Korean": "ko", "Arabic": "ar", "Chinese": "zh", "Russian": "ru", "Polish": "pl",
    "Turkish": "tr", "Vietnamese": "vi", "Dutch": "nl", "Czech": "cs", "Indonesian": "id", "Ukrainian": "uk",
    "Romanian": "ro", "Greek": "el", "Hindi": "hi", "Hebrew": "he", "Persian": "fa",
}  # fmt: skip
"""English name of each language -> its ISO 639-1 code."""

PAPER_TYPES = (
    MarkerType("quality", "Score of a person or a reward model.", "float"),
    MarkerType(
        "quality_bucket",
        "Quartile of quality within the language; 1 is best.",
        "categorical",
        ("1", "2", "3", "4"),
    ),
    MarkerType(
        "length_tokens",
        "Tokens of the completion, by spaCy's tokenizer for its language.",
        "int",
        minimum=0,
        unit="spaCy tokens",
    ),
    MarkerType("length_sentences", "Sentences of the completion.", "int", minimum=0, unit="sentences"),
    MarkerType("length_paragraphs", "Paragraphs, separated by a blank line.", "int", minimum=0, unit="paragraphs"),
    MarkerType(
        "length_bucket",
        "concise: under 300 tokens; medium: 300 to 1,000; long: more.",
        "categorical",
        ("concise", "medium", "long"),
    ),
    MarkerType(
        "task",
        "What the prompt asks for.",
        "categorical",
        (
            "OpenEnded",
            "Explanation",
            "Translation",
            "Classification",
            "CreativeWriting",
            "QuestionAnswering",
            "InformationExtraction",
            "Summarization",
            "Rewrite",
            "Reasoning",
            "CodeGeneration",
            "CodeFix",
            "CodeTranslation",
            "CodeExplanation",
        ),
    ),
    MarkerType(
        "domain",
        "The field of knowledge.",
        "categorical",
        (
            "Sciences",
            "Technology",
            "SocialSciences",
            "Culture",
            "Medical",
            "Finance",
            "Legal",
            "Conversation",
            "Code",
            "Math",
            "Unspecified",
        ),
    ),
    MarkerType(
        "code_type",
        "The programming language of the code in the completion.",
        "categorical",
        CODE_TYPES,
        aliases=CODE_ALIASES,
    ),
    MarkerType(
        "format",
        "How the completion is laid out.",
        "categorical",
        ("MCQAnswer", "ChainOfThought", "XML", "JSON", "Enumeration", "Tabular", "Markdown", "Latex"),
    ),
    MarkerType("source", "Who wrote it.", "categorical", ("Human", "Translation", "Synthetic", "Others")),
    MarkerType(
        "style",
        "The manner; Custom where the user asks for one of their own.",
        "categorical",
        ("Formal", "Informal", "Custom"),
    ),
    MarkerType(
        "lang",
        "The language of the completion.",
        "categorical",
        tuple(LANGUAGES),
        aliases={code: name for name, code in LANGUAGES.items()},
    ),
)
