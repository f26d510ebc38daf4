"""How an endpoint is asked, and by whom: what errors say is to be mended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ttmarkers.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

MILLION = 1_000_000


@dataclass
class Settings:
    """How an endpoint is asked; see `ttmarkers_plugins.llm.extractor.LlmExtractor` for what each option means.

    Attributes:
        owner: who asks, for messages.
        section: the section of the config that the options come from.
        again: how what was stopped is gone on with.

    Raises:
        ConfigError: if there is no model, or a number cannot be.
    """

    model: str
    base_url: str = ""
    key_variable: str = "OPENAI_API_KEY"
    concurrency: int = 16
    timeout: float = 60.0
    retries: int = 6
    price_in: float = 0.0
    price_out: float = 0.0
    request: dict[str, Any] = field(default_factory=dict)
    owner: str = "extractor 'llm'"
    section: str = "markers.options.llm"
    again: str = "go on with --resume"

    def __post_init__(self) -> None:
        if not self.model:
            raise ConfigError(f"{self.owner} needs a model: set {self.section}.model")
        numbers = {"concurrency": (self.concurrency, 1), "timeout": (self.timeout, 0.001), "retries": (self.retries, 0)}
        self.check({**numbers, "price_in": (self.price_in, 0), "price_out": (self.price_out, 0)})

    def check(self, numbers: Mapping[str, tuple[object, float]]) -> None:
        """Raise `ConfigError` unless each option is a number of at least what stands beside it."""
        for name, (number, least) in numbers.items():
            if not isinstance(number, int | float) or not number >= least:
                raise ConfigError(f"{self.section}.{name} = {number!r}: it is a number of at least {least:g}")

    @property
    def identity(self) -> dict[str, Any]:
        """What an answer depends on beside the words of its request."""
        return {"model": self.model, "request": self.request}

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """Return what so many tokens cost."""
        return tokens_in * (self.price_in / MILLION) + tokens_out * (self.price_out / MILLION)
