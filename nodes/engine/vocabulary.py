"""Vocabularies: word lists that rules look words up in."""

from __future__ import annotations


def vocabulary(words: str) -> frozenset[str]:
    """Read a word list written as running text."""
    return frozenset(words.split())
