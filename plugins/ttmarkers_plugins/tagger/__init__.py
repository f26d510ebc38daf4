"""Taggers without an endpoint: by nearest examples, by a language model's likelihoods, and by a small classifier."""

from __future__ import annotations
