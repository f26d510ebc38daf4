"""A model with markers as a benchmark asks it: answers with settings of each task, and likelihoods of given answers.

Nothing here knows the harness. A likelihood is that of an answer behind what the policy lets stand before it: prompt
and block, or the plain prompt where there is no block.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from ttmarkers.config import make_config
from ttmarkers.decoding.asking import Asking
from ttmarkers.decoding.generation import Engine
from ttmarkers.decoding.run import choose_policy, load, run_policy
from ttmarkers.decoding.steering import limit
from ttmarkers.decoding.writing import Begun, longest
from ttmarkers.errors import DataError
from ttmarkers.records import Request
from ttmarkers_plugins.lm_eval.likelihood import Beginning, Likelihood, score

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ttmarkers.config import Config
    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.records import Generation, Message

SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff")


class Backend:
    """A model, a policy, and markers to ask for.

    Args:
        model: its folder or Hub name.
        config: of its sections ``decode`` and ``seed`` are used.
        plugins: all components.
        options: for ``from_pretrained``.
        device: where the model runs; where it was loaded by default.

    Attributes:
        policy: name of the policy.
        markers: those that are asked for.
    """

    def __init__(
        self, model: str, config: Config, plugins: Plugins, options: Mapping[str, Any], device: str | None = None
    ) -> None:
        self._config, self._plugins = config, plugins
        decode = config.decode
        if decode.policy:
            plugins.policies().get(decode.policy, where="policy")
        loaded = load(model, decode.policy, **options)
        self._loaded = replace(loaded, model=cast("Any", loaded.model).to(device)) if device else loaded
        self.tokenizer = loaded.encoder.tokenizer
        asking = Asking(loaded.checkpoint, plugins.extractors())
        self.markers = asking.check(decode.markers, where="markers")
        self._negative = asking.check(decode.negative, where="negative")
        self.policy = choose_policy(decode.policy, loaded.checkpoint, {**self._negative, **self.markers})

    def _engine(self, over: Mapping[str, Any], kind: type[Engine] = Engine) -> Engine:
        """Return an engine with further keys of the section ``decode``."""
        given = {**self._config.decode.model_dump(exclude_unset=True), **over}
        decode = make_config({"decode": given}, "the task's generation_kwargs").decode
        engine = self._loaded.engine(decode, self._config.seed, kind)
        limit(engine, self._plugins, decode)
        return engine

    @property
    def most(self) -> int:
        """The greatest number of tokens of an answer, where a task does not say; 256 is the harness's own."""
        return int(self._config.decode.engine_keys.get("max_new_tokens", 256))

    @property
    def context(self) -> int | None:
        """The greatest number of tokens that the model reads, if known."""
        return self._engine({}).model.context

    def _asked(self, prompts: Mapping[str, tuple[Message, ...]]) -> Iterator[Request]:
        return (Request(name, prompt, self.markers, self._negative) for name, prompt in prompts.items())

    def _run(self, engine: Engine, prompts: Mapping[str, tuple[Message, ...]]) -> Iterator[Generation]:
        options = self._config.decode.options
        return run_policy(self.policy, self._plugins.policies(), engine, self._asked(prompts), options)

    def generate(
        self,
        prompts: Mapping[str, tuple[Message, ...]],
        stops: Sequence[str] = (),
        most: int | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Iterator[Generation]:
        """Yield the answers to prompts, in order.

        Args:
            prompts: by name.
            stops: texts that end an answer; what is in the block ends none.
            most: the greatest number of tokens of an answer.
            settings: further keys of the section ``decode``, in the names of transformers.
        """
        over = dict(settings or {})
        if not over.get("do_sample", True):
            over = {key: value for key, value in over.items() if key not in SAMPLING}
        own = self._engine({}).stops
        over |= {"max_new_tokens": most or self.most, "stop_strings": list(dict.fromkeys([*own, *stops]))}
        yield from self._run(self._engine(over), prompts)

    def likelihoods(
        self,
        prompts: Mapping[str, tuple[Message, ...]],
        answers: Sequence[tuple[str, str]],
        progress: Callable[[int], None] = lambda steps: None,
    ) -> list[Likelihood]:
        """Return how likely answers are behind prompts and the blocks that the policy writes there.

        Args:
            prompts: by name; one block is written for each.
            answers: names of prompts, and texts.
            progress: is told the number of answers that are done.

        Raises:
            DataError: if a prompt, its block and an answer are longer than the model reads.
        """
        engine = self._engine({}, Beginning)
        assert isinstance(engine, Beginning)
        for generation in self._run(engine, prompts):
            if generation.id not in engine.begun:
                raise DataError(f"{generation.id}: {generation.fault or 'the policy begins no answer'}")
        rows = [(engine.begun[name], engine.following(engine.begun[name], text)) for name, text in answers]
        for begun, tokens in rows:
            size = longest(begun) + len(tokens)
            if engine.model.context is not None and size > engine.model.context:
                raise DataError(
                    f"{begun.request.id}: prompt, block and answer have {size} tokens, and the model reads "
                    f"{engine.model.context}: use fewer examples (--num_fewshot) or a shorter description"
                )
        found: list[Likelihood] = []
        for start in range(0, len(rows), engine.batch_size):
            batch = rows[start : start + engine.batch_size]
            found += score(engine.model, batch)
            progress(len(batch))
        return found

    def plain(self, rows: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[float]:
        """Return the log-probability of tokens behind others, without prompt and block."""
        model, found = self._engine({}).model, []
        for before, tokens in rows:
            begun = Begun(Request("", ()), before)
            found.append(score(model, [(begun, tokens)])[0].value)
        return found

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of a text alone."""
        return self._loaded.encoder.ids([text])[0]
