"""Is everything there that ttmarkers needs, and what is to be installed for what.

Each check is asked alone: one that raises is a failed line, and the others are asked all the same.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from ttmarkers.errors import told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Question = tuple[str, str, Callable[[], "Answer | Iterable[Answer]"]]
    """Section, name of the line if it cannot be answered, and what answers."""

Status = Literal["ok", "absent", "warning", "failed"]


@dataclass(frozen=True)
class Answer:
    """A line of the report.

    Attributes:
        name: what was looked at.
        text: what was found.
        status: ``ok``; ``absent`` for what only some need; ``warning``; ``failed`` for what is needed and broken.
        remedy: what to do, a command if there is one.
        section: of the report.
    """

    name: str
    text: str
    status: Status = "ok"
    remedy: str = ""
    section: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """All answers, in the report's order."""

    answers: tuple[Answer, ...]

    @property
    def sound(self) -> bool:
        """Whether all that is needed is there."""
        return not any(answer.status == "failed" for answer in self.answers)

    def to_json(self) -> dict[str, Any]:
        """Return the diagnosis as JSON."""
        return {"sound": self.sound, "checks": [asdict(answer) for answer in self.answers]}

    def text(self) -> str:
        """Return the report for people."""
        width = max(len(answer.name) for answer in self.answers)
        lines: list[str] = []
        section = ""
        for answer in self.answers:
            if answer.section != section:
                section = answer.section
                lines += ["", section]
            lines.append(f"  {answer.status:<8} {answer.name:<{width}}  {answer.text}".rstrip())
            if answer.remedy:
                lines.append(f"  {'':<8} {'':<{width}}  -> {answer.remedy}")
        return "\n".join([*lines[1:], "", self._sum()])

    def _sum(self) -> str:
        many = Counter(answer.status for answer in self.answers)
        if self.sound:
            return (
                f"all that is needed is there ({many['warning']} warnings, {many['absent']} optional parts are absent)"
            )
        names = ", ".join(answer.name for answer in self.answers if answer.status == "failed")
        return f"something that is needed is broken: {names}"


def examine(questions: Iterable[Question]) -> Diagnosis:
    """Ask questions, such as those of `ttmarkers.doctor.checks`, and return the answers."""
    return Diagnosis(tuple(answer for question in questions for answer in _asked(question)))


def _asked(question: Question) -> Iterator[Answer]:
    section, name, ask = question
    try:
        found = ask()
        answers = [found] if isinstance(found, Answer) else list(found)
    except BaseException as error:
        if type(error) is KeyboardInterrupt:
            raise
        answers = [Answer(name, told(error), "failed")]
    for answer in answers:
        yield Answer(answer.name, answer.text, answer.status, answer.remedy, section)
