"""Plugins found, loaded, watched, and begun; their components by name."""

from __future__ import annotations
