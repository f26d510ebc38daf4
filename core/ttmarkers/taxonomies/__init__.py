"""Marker types in order, their values, and what plugins and the config change of them."""

from __future__ import annotations
