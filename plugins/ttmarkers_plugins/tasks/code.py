"""Tasks ``code-repair``, ``code-generation`` and ``code-translation``: programs that pass their tests.

Source: Muennighoff et al. 2023 (HumanEvalPack, arXiv 2308.07124) for data; Chen et al. 2021 for pass@k; D'souza et al.
2025, section 4 for the uses: code is a long tail, and repair its rarest. A model is asked in words of our own; under
``fixed`` also with ``task``, ``domain`` and ``code_type``. The answers are run in `ttmarkers.sandbox`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ttmarkers.errors import ConfigError, DataError, did_you_mean
from ttmarkers.records import Message, Metric, Request
from ttmarkers_plugins.tasks.code_languages import LANGUAGES, language_name, title
from ttmarkers_plugins.tasks.code_problems import Problem, read_problem, sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ttmarkers.protocols import Setting
    from ttmarkers.records import Generation, Value
    from ttmarkers_plugins.tasks.code_harness import Outcome


@dataclass(frozen=True)
class CodeCase:
    """What is asked, and the problem whose tests the answer's program must pass."""

    id: str
    text: str
    problem: Problem
    known: Mapping[str, Value]
    facts: Mapping[str, str]

    @property
    def prompts(self) -> tuple[str, ...]:
        """The texts by which a stored answer may be matched."""
        return (self.text, *self.problem.texts)


class CodeTask:
    """What the three tasks share: reading problems, running answers, counting.

    Args:
        samples: answers to each case.
        k: pass@k is estimated for each of these that is not above ``samples``.
        seconds: a program may run; compilers have time of their own.
        memory: that a program may use, in MiB.
        languages: those to run; by default all whose compiler or interpreter is installed.
    """

    name: ClassVar[str]
    marker: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        samples: int = 1,
        k: Sequence[int] = (1, 5),
        seconds: float = 10.0,
        memory: int = 512,
        languages: Sequence[str] | None = None,
    ) -> None:
        where = f"evaluate.options.{self.name}"
        for option, value in (("samples", samples), ("seconds", seconds), ("memory", memory), ("k", min(k, default=0))):
            if value <= 0:
                raise ConfigError(f"{where}.{option} must be above 0")
        self.samples = samples
        self._seconds, self._memory = seconds, memory
        self._k = tuple(sorted({each for each in k if each <= samples} | {1}))
        self._languages = _chosen(languages, where)
        self._left_out: Counter[str] = Counter()
        self.metrics = {
            **{f"pass@{each}": Metric("higher") for each in self._k},
            "no_program": Metric("lower"),
            "timeouts": Metric("lower"),
        }

    def cases(self, rows: Iterable[Mapping[str, Any]] | None) -> list[CodeCase]:
        """Read rows of HumanEvalPack, HumanEval, QuixBugs or our own form (see `code_problems`)."""
        self._left_out = Counter()
        problems = []
        for number, row in enumerate(sample() if rows is None else rows, 1):
            problem = read_problem(number, row, self.name, self.needs)
            if problem is None:
                self._left_out["without tests"] += 1
            else:
                problems.append(problem)
        found = self._make(problems)
        if not found:
            raise DataError(f"task {self.name}: no row is left to ask{self._why()}")
        return found

    def _make(self, problems: Sequence[Problem]) -> list[CodeCase]:
        """Make cases of problems in the languages that can be run."""
        found = [problem for problem in problems if self._runs(problem.language)]
        return [self._case(problem, problem.asked or self._ask(problem)) for problem in found]

    def _runs(self, language: str) -> bool:
        """Tell whether answers in a language are run; if not, count the case as left out."""
        from ttmarkers_plugins.tasks.code_harness import fault_of

        wanted = self._languages is None or language in self._languages
        fault = fault_of(language) if wanted else "which is not among evaluate.options"
        if fault:
            self._left_out[f"in {title(language)}, {fault}"] += 1
        return not fault

    def _ask(self, problem: Problem) -> str:
        """Return what is asked in words."""
        raise NotImplementedError

    def _case(self, problem: Problem, text: str, name: str = "", facts: Mapping[str, str] | None = None) -> CodeCase:
        known = {"task": self.marker, "domain": "Code", "code_type": problem.language}
        return CodeCase(
            name or problem.id, text, problem, known, {"language": problem.language, **problem.facts, **(facts or {})}
        )

    def _why(self) -> str:
        told = "; ".join(f"{count} {reason}" for reason, count in sorted(self._left_out.items()))
        return f": {told}" if told else ""

    def prepare(self, setting: Setting) -> None:
        """Say which cases were left out, and why."""
        if self._left_out:
            total = self._left_out.total()
            setting.say(f"{self.name}: {total} {'case is' if total == 1 else 'cases are'} left out{self._why()}")

    def request(self, case: CodeCase, policy: str) -> Request:
        """Ask in words; under ``fixed`` with the markers of the use, too."""
        return Request(case.id, (Message("user", case.text),), dict(case.known) if policy == "fixed" else {})

    def score(self, case: CodeCase, generation: Generation) -> Mapping[str, float]:
        """Run one answer."""
        return self.score_all([case], [[generation]])[0]

    def score_all(
        self, cases: Sequence[CodeCase], answers: Sequence[Sequence[Generation]]
    ) -> list[Mapping[str, float]]:
        """Run all answers side by side; equal programs for one case are run once."""
        from ttmarkers_plugins.tasks.code_extraction import find_program
        from ttmarkers_plugins.tasks.code_harness import try_programs

        found = [
            [find_program(each.text, case.problem) for each in given]
            for case, given in zip(cases, answers, strict=True)
        ]
        jobs = list(dict.fromkeys((n, each) for n, given in enumerate(found) for each in given if each is not None))
        outcomes = try_programs([(cases[n].problem, each) for n, each in jobs], self._seconds, self._memory * 2**20)
        known = dict(zip(jobs, outcomes, strict=True))
        return [
            self._figures([known[n, each] if each is not None else None for each in given])
            for n, given in enumerate(found)
        ]

    def _figures(self, outcomes: Sequence[Outcome | None]) -> Mapping[str, float]:
        """Return the metrics of one case from how its answers did; None stands for an answer without a program."""
        from ttmarkers.evaluation.pass_at_k import pass_at_k

        count = len(outcomes)
        if not count:
            return {}
        passed = sum(each is not None and each.passed for each in outcomes)
        return {
            **{f"pass@{k}": pass_at_k(count, passed, k) for k in self._k if k <= count},
            "no_program": sum(each is None for each in outcomes) / count,
            "timeouts": sum(each is not None and each.late for each in outcomes) / count,
        }

    def slices(self, case: CodeCase) -> Mapping[str, str]:
        """Break down by language, and by what the data says of the problem."""
        return case.facts


class RepairTask(CodeTask):
    """The buggy program is shown, and what it should do if the data says so; the whole corrected one is wanted.

    HumanEvalPack says it by the tests, as its authors ask models (``shows: tests``), or in words (``shows: docs``).
    """

    name = "code-repair"
    marker = "CodeFix"
    needs = ("buggy",)

    def __init__(self, shows: str = "tests", **options: Any) -> None:
        if shows not in ("tests", "docs", "nothing"):
            hint = did_you_mean(shows, ("tests", "docs", "nothing"))
            raise ConfigError(f"evaluate.options.code-repair.shows = {shows!r}: {hint}")
        super().__init__(**options)
        self._shows = shows

    def _ask(self, problem: Problem) -> str:
        parts = [f"Fix the bugs in {problem.entry_point}.", _fenced(problem.language, problem.buggy)]
        if self._shows == "tests" and problem.shown:
            parts += ["The corrected code must pass these tests:", _fenced(problem.language, problem.shown)]
        elif self._shows != "nothing" and problem.instruction:
            parts += ["This is what it should do:", _quoted(problem)]
        return "\n\n".join([*parts, "Answer with the whole corrected code."])


class GenerationTask(CodeTask):
    """A function is described, and is to be written."""

    name = "code-generation"
    marker = "CodeGeneration"
    needs = ("instruction",)

    def _ask(self, problem: Problem) -> str:
        language = title(problem.language)
        if problem.prompt:
            start = f"Write the {language} function {problem.entry_point} as its comment describes it."
            return f"{start} Answer with the whole function.\n\n{_fenced(problem.language, problem.prompt)}"
        begin = (
            f"\n\nBegin like this:\n\n{_fenced(problem.language, problem.declaration)}" if problem.declaration else ""
        )
        return f"Write a {language} function named {problem.entry_point}.\n\n{problem.instruction}{begin}"


class TranslationTask(CodeTask):
    """A program in one language is to be written in another; the tests are those of the other.

    Rows of the same problem in different languages make pairs: those whose ids are the same behind the first slash.

    Args:
        source: the language that is translated from.
        targets: the languages to translate into; by default all others.
        options: those of all code tasks.
    """

    name = "code-translation"
    marker = "CodeTranslation"
    needs = ("reference",)

    def __init__(self, source: str = "python", targets: Sequence[str] | None = None, **options: Any) -> None:
        where = "evaluate.options.code-translation"
        super().__init__(**options)
        self._source = _known(source, f"{where}.source")
        self._targets = {_known(target, f"{where}.targets") for target in targets} if targets is not None else None

    def _make(self, problems: Sequence[Problem]) -> list[CodeCase]:
        """Make a case of each problem in a target language that there is a source of."""
        sources = {problem.key: problem for problem in problems if problem.language == self._source}
        found = super()._make([problem for problem in problems if problem.asked])
        for problem in problems:
            if (
                problem.asked
                or problem.language == self._source
                or (self._targets and problem.language not in self._targets)
            ):
                continue
            if problem.key not in sources:
                self._left_out[f"without {title(self._source)} to translate from"] += 1
            elif self._runs(problem.language):
                found.append(self._pair(sources[problem.key], problem))
        return found

    def _pair(self, source: Problem, target: Problem) -> CodeCase:
        ask = f"Translate this {title(source.language)} code into {title(target.language)}."
        parts = [ask, _fenced(source.language, source.reference)]
        if target.declaration:
            parts += ["Begin like this:", _fenced(target.language, target.declaration)]
        else:
            parts += [f"Name the function {target.entry_point}."]
        facts = {"pair": f"{source.language} to {target.language}"}
        return self._case(target, "\n\n".join(parts), f"{target.id} from {source.language}", facts)


def _known(word: str, where: str) -> str:
    name = language_name(word)
    if name is None:
        raise ConfigError(f"{where} = {word!r} is no programming language of the marker code_type")
    return name


def _chosen(languages: Sequence[str] | None, where: str) -> frozenset[str] | None:
    """Return the languages that are to be run; None for all that can be."""
    if languages is None:
        return None
    names = [_known(word, f"{where}.languages") for word in languages]
    for name in names:
        if name not in LANGUAGES or not LANGUAGES[name].installed:
            tools = " and ".join(LANGUAGES[name].tools) if name in LANGUAGES else ""
            why = (
                f"needs {tools}, which is not installed" if tools else f"cannot be run; can be: {', '.join(LANGUAGES)}"
            )
            raise ConfigError(f"{where}.languages: {title(name)} {why}")
    return frozenset(names)


def _fenced(language: str, code: str) -> str:
    return f"```{language}\n{code.strip(chr(10))}\n```"


def _quoted(problem: Problem) -> str:
    """Return what a problem asks for: in words, or as the declaration with its comment."""
    words = problem.instruction != problem.prompt
    return problem.instruction.strip() if words else _fenced(problem.language, problem.prompt)
