"""The connection to a board."""

from __future__ import annotations

import pytest
from board_fixture import board

from bedside.core.build import Target
from bedside.targets.board_link import command, settings


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    with board(tmp_path_factory.mktemp("board")) as made:
        yield made


def test_the_command_asks_nothing_and_forwards_nothing(here):
    parts = command(settings(Target("board", "ssh", options=here.options())), "agent")
    for option in ("StrictHostKeyChecking=yes", "BatchMode=yes", "ForwardAgent=no",
                   "PasswordAuthentication=no", "ClearAllForwardings=yes", "IdentitiesOnly=yes",
                   "ConnectTimeout=15"):
        assert any(option in p for p in parts), option
    assert parts[parts.index("--") + 1] == "127.0.0.1"
