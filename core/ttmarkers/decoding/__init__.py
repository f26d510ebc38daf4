"""What policies stand on: blocks and answers from a model, markers that are asked for, limits."""

from __future__ import annotations
