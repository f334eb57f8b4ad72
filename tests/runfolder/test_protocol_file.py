"""``protocol.json``: what it holds, and whose signature it bears."""

from __future__ import annotations

import platform
import shutil

import numpy as np
import pytest
from protocol_fixture import finished

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.protocol import PRIMARY
from bedside.core.study import BudgetConfig, EvidenceConfig
from bedside.runfolder import artefact, layout, ledger, protocol_file, stored
from bedside.runtime.bundle import signing


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("protocol"), BudgetConfig(slower=0.2))


@pytest.fixture
def run(shared, tmp_path):
    return shutil.copytree(shared, tmp_path / "run")


def test_it_holds_the_whole_configuration_of_evidence_and_budget(run):
    found, entries = protocol_file.read(run)
    assert found.evidence == EvidenceConfig()
    assert found.budget == BudgetConfig(slower=0.2)
    assert found.planned == ("net-float32@cpu", "net-int8@cpu")
    assert found.primary == {"cpu": PRIMARY}
    assert (found.split.train, found.split.val, found.split.test) == (0, 100, 200)
    assert found.task == stored.task(run)
    assert found.versions["python"] == platform.python_version()
    assert found.versions["numpy"] == np.__version__
    assert protocol_file.last_lock(entries).protocol == artefact.sha256_file(
        layout.protocol_file(run))


def test_a_field_that_a_later_version_adds_has_its_default(run):
    """An older protocol stays readable: its rule is the default of what it could not name."""
    document = codec.parse_json(layout.protocol_file(run).read_text(), "x")
    del document["budget"]["larger"]
    assert codec.decode(type(protocol_file.read(run)[0]), document).budget.larger == (
        BudgetConfig().larger)


def test_nobody_signed_it_unless_a_key_was_given(run, tmp_path):
    assert protocol_file.signer(run, ledger.read(run)) is None
    private, public, _ = signing.keygen(tmp_path / "keys")
    for path in (layout.protocol_file(run), layout.ledger_file(run)):
        path.unlink()
    made = protocol_file.compose(run, stored.study(run))
    sha256 = protocol_file.lock(run, made, "a test", private)
    _, entries = protocol_file.read(run)
    assert sha256 == protocol_file.last_lock(entries).protocol
    assert protocol_file.signer(run, entries) == signing.read_public(public)


def test_a_signature_of_another_text_is_refused(run, tmp_path):
    private, _, _ = signing.keygen(tmp_path / "keys")
    for path in (layout.protocol_file(run), layout.ledger_file(run)):
        path.unlink()
    protocol_file.lock(run, protocol_file.compose(run, stored.study(run)), "a test", private)
    first = ledger.read(run)[0]
    for seal in (signing.sign(private, layout.protocol_file(run).read_bytes()).hex(), "ab", "no"):
        forged = codec.decode(type(first), codec.encode(first) | {
            "facts": first.facts | {"seal": seal}})
        layout.ledger_file(run).write_bytes(ledger.render((forged,)))
        with pytest.raises(BadInput, match="its signature in the ledger is not of this protocol"):
            protocol_file.signer(run, ledger.read(run))


def test_a_run_without_data_has_nothing_to_lock(tmp_path):
    from bedside.core.study import Study

    with pytest.raises(BadInput, match="stage 'data' has not finished"):
        protocol_file.compose(tmp_path, Study())
