"""The token of a server."""

from __future__ import annotations

import pytest

from bedside.core.errors import BadInput
from bedside.services.rest.token import new_token, read_token


def test_a_new_token_can_be_read_back(tmp_path):
    token = new_token()
    (tmp_path / "token").write_text(f"{token}\n")
    assert read_token(tmp_path / "token") == token
    assert new_token() != token


@pytest.mark.parametrize("text", ["", "short", "two words of twenty characters", "ä" * 30])
def test_a_token_that_can_be_guessed_or_not_sent_is_refused(tmp_path, text):
    (tmp_path / "token").write_text(text)
    with pytest.raises(BadInput, match="one word of 20 characters"):
        read_token(tmp_path / "token")
