"""The choice as a pure function: its rule by table, and what must hold for any measurements."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedside import schemes
from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.evidence import Comparison, Needed
from bedside.core.recommendation import Candidate, Recommendation, Recommendations, Speed
from bedside.core.study import BudgetConfig, EvidenceConfig, Limits, ModelConfig, Study
from bedside.core.types import Estimate
from bedside.flows.check import check as check_study
from bedside.stages.recommend.rule import broken_limits, check_budget, choose, limits_of, rank
from bedside.stages.recommend.wording import measured

EVIDENCE = EvidenceConfig()
FREE = BudgetConfig()


def one(scheme="int8", auc=0.95, ms=10.0, size=1_000_000, *, how="measured", spread=0.02,
        answer=None, status="ok", model="net", memory=None, around=0.03):
    """A candidate; ``how`` is how its latency came about, None for no latency."""
    return Candidate(
        f"{model}-{scheme}", model, scheme, status, size, schemes.parse(scheme).steps, "auroc",
        Estimate(None, n=0, reason="one class only") if auc is None else
        Estimate(auc, max(0.0, auc - around), min(1.0, auc + around), 200),
        latency_ms=None if how is None else Speed(ms, ms * (1 - spread), ms * (1 + spread), 5),
        latency_evidence=how, accuracy_evidence="measured", answer=answer,
        peak_memory_bytes=memory, reason=None if status == "ok" else "no kernel")


def paired(variant="net-int8", answer="shown", **more):
    return {variant: Comparison(variant, "cpu", "net-float32@cpu", "test", 200, answer=answer,
                                **more)}


def chosen(candidates, budget=FREE, tests=None):
    return choose("cpu", candidates, budget, EVIDENCE, tests)


# ------------------------------------------------------------------ the rule, case by case

FLOAT = one("float32", ms=12, size=4_000_000)


@pytest.mark.parametrize(("candidates", "want", "why"), [
    # The faster one of those as good.
    ([FLOAT, one(ms=4)], "net-int8", "slower at a comparable AUC: 12.0 ms against 4.00 ms"),
    # As fast: the smaller file.
    ([FLOAT, one("float16", ms=12.1, size=2_000_000)], "net-float16", "which is smaller"),
    # As fast: fewer decisions win, though the other file is smaller.
    ([one(ms=4), one("mixed+searched", ms=4, size=900_000, auc=0.952)], "net-int8",
     "which is simpler (0 against 2 decisions beyond a plain conversion)"),
    ([one(ms=4), one("int8+percentile", ms=4, size=900_000)], "net-int8", "simpler"),
    # Not simpler where it is slower beyond the ranges.
    ([one(ms=8), one("mixed+searched", ms=4)], "net-mixed+searched", "slower"),
    # Fast and not as good.
    ([FLOAT, one(ms=1, auc=0.92)], "net-float32", "more than 0.02 below the best"),
    # Within the margin, but the interval lies below that of what is as fast.
    ([one("float16", auc=0.95, ms=4, around=0.001), one(auc=0.945, ms=4, around=0.001)],
     "net-float16", "its validation AUC is below that of net-float16 by 0.005 [0.004, 0.006]"),
    # Two networks: the better one, though slower.
    ([one(model="big", ms=30), one(model="small", ms=3, auc=0.9)], "big-int8", "below the best"),
    # Equal in everything.
    ([one(model="a"), one(model="b")], "a-int8", "comes first by name"),
])
def test_the_rule(candidates, want, why):
    found = chosen(candidates)
    assert found.chosen == want
    assert why in next(iter(found.rejected.values()))
    assert set(found.rejected) == {c.variant for c in candidates} - {want}
    assert found.ranked[0] == want
    assert len(found.why) == 3
    assert chosen(candidates[::-1]).chosen == want


@pytest.mark.parametrize(("bad", "cause", "why"), [
    (one(ms=1, status="unsupported"), "not run", "unsupported: no kernel"),
    (one(ms=1, status="failed"), "not run", "failed: no kernel"),
    (one(ms=1, auc=None), "not predicted", "one class only"),
    (one(ms=1, answer="worse"), "worse", "inferior to its float32 model on validation images"),
    (one(ms=1, how="estimated"), "unmeasured", "is estimated; only measured latencies are ranked"),
    (one(ms=1, how="simulated"), "unmeasured", "is simulated"),
    (one(ms=1, how="emulated"), "unmeasured", "is emulated"),
    (one(how=None), "unmeasured", "its latency was not measured"),
])
def test_what_cannot_be_chosen(bad, cause, why):
    found = chosen([FLOAT, bad])
    assert found.chosen == "net-float32"
    assert found.ranked == ("net-float32",)
    assert found.causes == {"net-int8": cause}
    assert why in found.rejected["net-int8"]
    alone = chosen([bad])
    assert (alone.chosen, alone.cause, alone.ranked) == (None, cause, ())
    assert alone.why


def test_estimates_are_told_apart_and_the_first_to_measure_is_named():
    cells = [replace(FLOAT, latency_evidence="estimated"), one(ms=20, how="estimated")]
    found = chosen(cells)
    assert found.chosen is None
    assert found.measure_first == "net-int8"
    assert "never ranked" in found.why[0]
    assert "estimated" in found.warnings[0]


@pytest.mark.parametrize(("budget", "fault"), [
    (BudgetConfig(latency_ms=3), "its latency of 10.0 ms exceeds the budget of 3.00 ms"),
    (BudgetConfig(size_bytes=999), "exceeds the budget of 0.00 MB"),
    (BudgetConfig(peak_memory_bytes=10), "its peak memory is unknown"),
    (BudgetConfig(targets={"cpu": Limits(latency_ms=3)}), "exceeds the budget"),
    (BudgetConfig(latency_ms=50, targets={"cpu": Limits(latency_ms=3)}), "exceeds the budget"),
])
def test_a_budget_that_nothing_keeps_gives_none(budget, fault):
    found = chosen([one()], budget)
    assert (found.chosen, found.cause) == (None, "budget")
    assert fault in found.rejected["net-int8"]
    assert "meet the budget" in found.rule


def test_a_targets_own_limit_wins_and_others_stay():
    budget = BudgetConfig(latency_ms=3, size_bytes=5, targets={"cpu": Limits(latency_ms=50)})
    assert limits_of(budget, "cpu") == Limits(50, 5, None)
    assert limits_of(budget, "gpu") == Limits(3, 5, None)
    assert broken_limits(one(how="estimated"), Limits(latency_ms=3)) == []
    assert "peak memory of 90.0 MB" in broken_limits(one(memory=90_000_000),
                                                     Limits(peak_memory_bytes=8))[0]


# ------------------------------------------------------------------ the test images


def test_the_test_images_confirm():
    found = chosen([FLOAT, one(ms=4)], tests=paired())
    assert (found.chosen, found.test.verdict) == ("net-int8", "confirmed")


def test_the_test_images_veto_and_nothing_takes_its_place():
    found = chosen([FLOAT, one(ms=4)], tests=paired(answer="worse"))
    assert (found.chosen, found.vetoed, found.cause) == (None, "net-int8", "vetoed")
    assert found.ranked == ("net-int8", "net-float32")
    assert "veto" in found.rejected["net-int8"]
    assert "selecting on test images" in found.why[1]


def test_too_few_test_images_say_how_many_would_do():
    needed = (Needed("sensitivity", "positive images", 400, 900),)
    tests = paired(answer="not shown", needed=needed)
    found = chosen([FLOAT, one(ms=4)], tests=tests)
    assert (found.chosen, found.test.verdict) == ("net-int8", "not shown")
    assert ("showing non-inferior sensitivity needs about 400 positive images (900 test images"
            in found.test.text)
    strict = chosen([FLOAT, one(ms=4)], BudgetConfig(require="shown"), tests)
    assert (strict.chosen, strict.vetoed, strict.cause) == (None, "net-int8", "not shown")


@pytest.mark.parametrize("tests", [
    None, paired(answer=None, reason="no positive images"),
])
def test_an_untested_choice_stands_unless_proof_is_required(tests):
    found = chosen([FLOAT, one(ms=4)], tests=tests)
    assert (found.chosen, found.test.verdict) == ("net-int8", "untested")
    assert "None" not in found.test.text
    assert chosen([FLOAT, one(ms=4)], BudgetConfig(require="shown"), tests).cause == "not shown"


def test_float32_is_the_reference_and_needs_no_proof():
    found = chosen([FLOAT], BudgetConfig(require="shown"))
    assert (found.chosen, found.test.verdict) == ("net-float32", "reference")


def test_only_the_choices_own_test_is_read():
    tests = paired(answer="shown") | paired("net-float32", "worse") | paired("net-dynamic", "worse")
    with_others = chosen([FLOAT, one(ms=4), one("dynamic", ms=6)], tests=tests)
    assert with_others == chosen([FLOAT, one(ms=4), one("dynamic", ms=6)], tests=paired())


# ------------------------------------------------------------------ for any measurements

SCHEMES = ("float32", "float16", "dynamic", "int8", "mixed", "mixed+searched", "int8+io8")
HOW = ("measured", "measured", "estimated", "simulated", "emulated", None)


@st.composite
def candidates(draw):
    names = draw(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(SCHEMES)),
                          unique=True, max_size=8))
    return [one(scheme, draw(st.one_of(st.none(), st.floats(0.4, 1.0))),
                draw(st.floats(0.01, 500)), draw(st.integers(1, 10**8)), model=model,
                how=draw(st.sampled_from(HOW)), spread=draw(st.floats(0, 0.9)),
                answer=draw(st.sampled_from([None, "shown", "not shown", "worse"])),
                status=draw(st.sampled_from(["ok", "ok", "ok", "unsupported", "failed"])),
                memory=draw(st.one_of(st.none(), st.integers(1, 10**9))),
                around=draw(st.floats(0, 0.2)))
            for model, scheme in names]


BUDGETS = st.builds(
    BudgetConfig, latency_ms=st.one_of(st.none(), st.floats(1, 400)),
    size_bytes=st.one_of(st.none(), st.integers(1, 10**8)),
    peak_memory_bytes=st.one_of(st.none(), st.integers(1, 10**9)),
    require=st.sampled_from(["not worse", "shown"]))
ANSWERS = st.sampled_from([None, "shown", "not shown", "worse"])


@settings(max_examples=120, deadline=None)
@given(cells=candidates(), budget=BUDGETS, answer=ANSWERS)
def test_what_always_holds(cells, budget, answer):
    tests = {c.variant: Comparison(c.variant, "cpu", "x", "test", 10, answer=answer,
                                   reason="why") for c in cells}
    found = choose("cpu", cells, budget, EVIDENCE, tests)
    by_name = {c.variant: c for c in cells}
    every = set(by_name)
    # Every variant is chosen or rejected with a reason, and never both.
    assert set(found.rejected) == every - {found.chosen}
    assert all(found.rejected.values())
    assert (found.chosen is None) == (found.cause is not None)
    # What is ranked runs, was measured, and keeps the budget.
    for name in found.ranked:
        c = by_name[name]
        assert measured(c)
        assert c.status == "ok" and c.auc.value is not None and c.answer != "worse"
        assert not broken_limits(c, limits_of(budget, "cpu"))
    if found.ranked:
        assert found.ranked[0] in (found.chosen, found.vetoed)
        best = max(by_name[n].auc.value for n in found.ranked)
        assert by_name[found.ranked[0]].auc.value >= best - EVIDENCE.auc_margin - 1e-9
    if answer == "worse":
        assert found.chosen is None
    # The order of the candidates plays no part, and JSON keeps everything.
    again = choose("cpu", cells[::-1], budget, EVIDENCE, tests)
    assert (again.chosen, again.ranked) == (found.chosen, found.ranked)
    text = codec.to_json(Recommendations(recommendations=(found,)))
    assert "NaN" not in text
    data = codec.parse_json(text, "x")["recommendations"][0]
    assert codec.decode(Recommendation, data) == found
    assert {"target", "chosen", "ranked", "rejected", "rule"} <= set(data)


@settings(max_examples=60, deadline=None)
@given(cells=candidates(), factor=st.floats(0.001, 1000))
def test_unmeasured_latencies_change_nothing(cells, factor):
    """Whatever an estimate says, the ranking of measured variants stays as it is."""
    changed = [replace(c, latency_ms=Speed(c.latency_ms.median * factor, 0.0, 1e9, 0))
               if c.latency_ms is not None and c.latency_evidence != "measured" else c
               for c in cells]
    before, after = chosen(cells), chosen(changed)
    assert (before.chosen, before.ranked) == (after.chosen, after.ranked)


@settings(max_examples=60, deadline=None)
@given(cells=candidates())
def test_ranking_is_a_permutation_and_the_best_of_the_rest_comes_next(cells):
    able = [c for c in cells if c.auc.value is not None and measured(c)]
    order = rank(able, 0.02)
    assert sorted(c.variant for c in order) == sorted(c.variant for c in able)
    for i in range(len(order)):
        assert rank(order[i:], 0.02)[0] == order[i]


# ------------------------------------------------------------------ configuration


@pytest.mark.parametrize(("budget", "fault"), [
    (BudgetConfig(latency_ms=0), "budget.latency_ms: must be above 0; got 0"),
    (BudgetConfig(size_bytes=-4), "budget.size_bytes: must be above 0; got -4"),
    (BudgetConfig(peak_memory_bytes=0), "budget.peak_memory_bytes"),
    (BudgetConfig(slower=10), "10% is 0.1"),
    (BudgetConfig(larger=-0.1), "budget.larger"),
    (BudgetConfig(targets={"cpu": Limits(latency_ms=-1)}), "budget.targets.cpu.latency_ms"),
    (BudgetConfig(targets={"cpuu": Limits()}), "Did you mean 'cpu'?"),
])
def test_budgets_that_make_no_sense_are_one_message(budget, fault):
    with pytest.raises(BadInput) as caught:
        check_study(Study(models=(ModelConfig("resnet34"),), budget=budget))
    assert fault in caught.value.message
    with pytest.raises(BadInput):
        check_budget(budget, ("cpu", "gpu"))


@pytest.mark.parametrize(("text", "fault"), [
    ('[budget]\nrequire = "proved"', "'proved' is not allowed"),
    ("[budget]\nlatency = 3", "unknown key 'latency'"),
    ('[budget]\nlatency_ms = "3 ms"', "expected a number"),
    ("[budget]\nlatency_ms = nan", "not a finite number"),
    ("[budget.targets.cpu]\nmemory = 3", "unknown key 'memory'"),
])
def test_the_file_is_read_strictly(tmp_path, text, fault):
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(BadInput, match=fault):
        codec.read_toml(Study, tmp_path / "s.toml")


def test_a_budget_survives_the_study_file(tmp_path):
    config = Study(budget=BudgetConfig(5.0, 10, None, "shown", targets={"cpu": Limits(2.0)}))
    (tmp_path / "s.toml").write_text(codec.to_toml(config))
    assert codec.read_toml(Study, tmp_path / "s.toml") == config
