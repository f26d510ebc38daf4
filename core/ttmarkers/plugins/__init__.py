"""Plugins found, loaded and watched; their components by name."""

from __future__ import annotations
