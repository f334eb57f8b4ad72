"""The search over the models of a study."""

from __future__ import annotations

from bedside.core.study import ModelConfig, Study
from bedside.flows.search import budget, mixture


def test_only_a_mixture_of_every_model_joins_the_studys_schemes(tmp_path, monkeypatch):
    """One model's layers say nothing of another's."""
    joined = []
    study = Study(models=(ModelConfig("resnet34", id="a"), ModelConfig("resnet34", id="b")))
    monkeypatch.setattr(mixture.study, "model_ids", lambda run, config: ["a", "b"])
    monkeypatch.setattr(mixture.study, "load", lambda run: study)
    monkeypatch.setattr(mixture.study, "through", lambda *_: None)
    monkeypatch.setattr(budget, "with_scheme", lambda run, scheme: joined.append(str(scheme)))

    class Met:
        int8 = float32 = None

        def __init__(self, model):
            self.model = model

    class Budget:
        def holds(self, *_):
            return True

    monkeypatch.setattr(budget, "search", lambda run, name, *_: Met(name))
    one = mixture.search(tmp_path, study, ["a"], "mixed+searched", Budget(), False)
    assert ([s.model for s in one.searches], joined) == (["a"], [])
    both = mixture.search(tmp_path, study, ["a", "b"], "mixed+searched", Budget(), False)
    assert ([s.model for s in both.searches], joined) == (["a", "b"], ["mixed+searched"])
    assert both.missed == both.finetuned == ()
