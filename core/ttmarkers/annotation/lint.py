"""Find annotated rows whose markers cannot be right, and markers that a model could not learn from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from ttmarkers.errors import TtmError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ttmarkers.annotation.extraction import Extraction
    from ttmarkers.records import Example, Origin, Value
    from ttmarkers.taxonomies.taxonomy import Taxonomy

SHOWN = 5  # rows to look at for each finding
CONSTANT = 0.99  # share of one value above which a marker is near-constant
FEWEST = 20  # rows below which nothing is said about shares


@dataclass
class Finding:
    """One kind of fault.

    Attributes:
        level: ``error`` (the markers are wrong) or ``warning`` (they may teach little).
        check: a short name.
        message: what is wrong and how to mend it.
        count: number of rows.
        rows: some of them.
    """

    level: str
    check: str
    message: str
    count: int = 0
    rows: list[str] = field(default_factory=list)

    def add(self, origin: Origin | str) -> None:
        """Count a row, and keep it if there are few so far."""
        self.count += 1
        if len(self.rows) < SHOWN:
            self.rows.append(str(origin))


class Linter:
    """Takes rows one by one; `findings` is complete after the last.

    Args:
        taxonomy: all marker types.
        openings: how blocks of the known templates begin, by template.
        extraction: finds the lengths again; None leaves them unchecked.
    """

    def __init__(self, taxonomy: Taxonomy, openings: Mapping[str, str], extraction: Extraction | None) -> None:
        self._taxonomy = taxonomy
        self._openings = openings
        self._extraction = extraction
        self._findings: dict[tuple[str, str], Finding] = {}
        self._values: dict[str, dict[Value, int]] = {}
        self._by_file: dict[str, dict[str, set[Value]]] = {}
        self._files: dict[str, int] = {}
        self.rows = 0

    def check(self, examples: Sequence[Example]) -> None:
        """Check a batch of rows."""
        measured = self._extraction.run([_bare(example) for example in examples]) if self._extraction else []
        for number, example in enumerate(examples):
            self.rows += 1
            self._files[example.origin.name] = self._files.get(example.origin.name, 0) + 1
            markers = self._known(example)
            self._contradictions(example, markers)
            self._blocks(example)
            if measured and measured[number].error is None:
                self._lengths(example, markers, measured[number].markers)

    def findings(self) -> list[Finding]:
        """Return what was found, errors first."""
        found = [*self._findings.values(), *self._shares()]
        return sorted(found, key=lambda finding: (finding.level, finding.check, finding.message))

    def _find(self, level: str, check: str, message: str, origin: Origin) -> None:
        self._findings.setdefault((check, message), Finding(level, check, message)).add(origin)

    def _known(self, example: Example) -> dict[str, Value]:
        found = example.columns.get("markers")
        if not isinstance(found, dict):
            self._find("error", "no-markers", "the row has no markers: run ttm annotate", example.origin)
            return {}
        markers: dict[str, Value] = {}
        for name, value in found.items():
            if value is None:
                continue
            try:
                markers |= self._taxonomy.check({name: value})
            except TtmError as error:
                self._find("error", "taxonomy", str(error), example.origin)
                continue
            values = self._values.setdefault(name, {})
            values[markers[name]] = values.get(markers[name], 0) + 1
            self._by_file.setdefault(name, {}).setdefault(example.origin.name, set()).add(markers[name])
        return markers

    def _contradictions(self, example: Example, markers: Mapping[str, Value]) -> None:
        task, tokens = markers.get("task"), markers.get("length_tokens")
        if task in ("CodeFix", "CodeTranslation", "CodeGeneration") and "code_type" not in markers:
            self._find("error", "contradiction", f"task = {task} without a code_type", example.origin)
        if task in ("CodeFix", "CodeTranslation", "CodeGeneration") and markers.get("domain", "Code") != "Code":
            self._find("warning", "contradiction", f"task = {task} with domain = {markers['domain']}", example.origin)
        wanted = None if tokens is None else "concise" if tokens < 300 else "medium" if tokens <= 1000 else "long"  # type: ignore[operator]
        if wanted and markers.get("length_bucket", wanted) != wanted:
            message = f"length_bucket = {markers['length_bucket']}, but length_tokens says {wanted}"
            self._find("error", "contradiction", message, example.origin)

    def _blocks(self, example: Example) -> None:
        for name, opening in self._openings.items():
            texts = (*(turn.content for turn in example.prompt), example.completion)
            if any(opening in text for text in texts):
                message = (
                    f"the text itself holds {opening!r}, with which a block of template {name} begins: take it out"
                )
                self._find("error", "block-in-text", message, example.origin)

    def _lengths(self, example: Example, markers: Mapping[str, Value], measured: Mapping[str, Value]) -> None:
        for kind in self._taxonomy:
            known = kind.name in markers and kind.name in measured
            if kind.kind == "int" and known and markers[kind.name] != measured[kind.name]:
                message = f"{kind.name} does not match the text: annotate the row again"
                self._find("error", "length", message, example.origin)

    def _shares(self) -> Iterator[Finding]:
        for name, values in self._values.items():
            total = sum(values.values())
            value, most = max(values.items(), key=lambda item: item[1])
            if total < FEWEST or self._taxonomy.get(name).kind == "float":
                continue
            if len(values) > 1 and most >= CONSTANT * total:
                message = f"{name} is {value} in {most / total:.1%} of the rows that have it: it can hardly be learned"
                yield Finding("warning", "near-constant", message, most)
            elif len(values) == 1:
                message = f"{name} is always {value}: it teaches nothing unless other data is added"
                yield Finding("warning", "constant", message, most)
            files = self._by_file[name]
            if len(files) > 1 and len(values) > 1 and all(len(seen) == 1 for seen in files.values()):
                message = f"{name} follows from the file alone: a model may learn the file's manner instead"
                yield Finding("warning", "file", message, total)


def _bare(example: Example) -> Example:
    """Return an example without its counts, so that they are measured anew; other markers stay."""
    columns: dict[str, Any] = dict(example.columns)
    found = columns.get("markers")
    if isinstance(found, dict):
        columns["markers"] = {n: v for n, v in found.items() if not n.startswith("length_")}
    return replace(example, columns=columns)


def batches(examples: Iterator[Example], size: int = 256) -> Iterator[list[Example]]:
    """Yield lists of at most ``size``."""
    while batch := list(islice(examples, size)):
        yield batch
