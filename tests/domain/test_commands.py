"""Commands in messages can be pasted into a shell, whatever the campaign is called."""

from __future__ import annotations

import shlex

import pytest

from labelwright.campaigns.next_steps import names_command, way_on
from labelwright.domain import State
from labelwright.domain.commands import quoted


@pytest.mark.parametrize("title", ["river", "Anna's boats", 'a "quoted" one', "$(reboot) `x` \\ 'end'", "ночь"])
def test_a_title_is_one_word_of_the_shell(title):
    assert shlex.split(f"labelwright resume {quoted(title)}") == ["labelwright", "resume", title]
    advice = way_on(title, State.NEEDS_ATTENTION, "the server refused it")
    assert shlex.split(advice.partition(": ")[2]) == ["labelwright", "resume", title]
    assert names_command(title, advice)
    assert quoted("river") == "'river'"
