"""A model and its tokenizer: loaded or made, what its chat template writes, which tokens a row becomes."""

from __future__ import annotations
