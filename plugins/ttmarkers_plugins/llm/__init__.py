"""Markers by asking a language model behind an OpenAI-compatible endpoint."""

from __future__ import annotations
