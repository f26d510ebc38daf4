"""Synthetic data sets, for the quickstart and for the small twins of the paper's experiments."""

from __future__ import annotations
