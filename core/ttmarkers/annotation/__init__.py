"""From rows to annotated rows: which extractors are asked, how they are run, what is counted and checked."""

from __future__ import annotations
