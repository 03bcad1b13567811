"""The notice that people read before their faces are looked at: emotions are inferred here, by a machine.

Article 50(3) of the European Union's AI Act asks for one since 2 August 2026; what it says in detail is the operator's.
"""

from __future__ import annotations

import unicodedata

from cmaen.errors import ConfigError

NOTICE = "An AI system infers emotions from faces here. Tell the people whose faces you show it."
"""Default notice."""

LONGEST = 200
"""Maximum number of characters: in UTF-8 and percent-encoded they still fit into the header of a response."""

_NO_LINE = {"Cc": "a line break or another control character", "Zl": "a line break", "Zp": "a line break"}
"""Categories of characters that would end or disturb a line of text, and their names."""


def check_notice(text: str) -> str:
    """Return a notice without surrounding spaces, as plain text of one line.

    Raises:
        ConfigError: The notice is empty, too long, has several lines, or is not valid text.
    """
    text = text.strip()
    advice = "give one line of plain text, or leave it out for the usual notice"
    if not text:
        raise ConfigError(f"the notice is empty; {advice}")
    if len(text) > LONGEST:
        raise ConfigError(f"the notice has {len(text):,} characters, and {LONGEST} are the most; link to a longer text")
    for character in text:
        category = unicodedata.category(character)
        if category in _NO_LINE:
            raise ConfigError(f"the notice contains {_NO_LINE[category]}; {advice}")
        if category == "Cs":
            raise ConfigError(f"the notice contains bytes that are not UTF-8; {advice}")
    return text
