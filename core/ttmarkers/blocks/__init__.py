"""Blocks of markers: written, read, split from answers, held to a grammar, guarded."""

from __future__ import annotations
