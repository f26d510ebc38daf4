"""Grids of systems: trained, asked, measured and reported in one go."""

from __future__ import annotations
