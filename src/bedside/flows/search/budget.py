"""Search (``bedside search``) for the layers that must stay out of INT8 to meet a budget.

First the sensitivity of every layer on validation images: that layer alone in int8, and all
but that layer in int8. Then a bisection over how many of the most sensitive layers stay in
float; then each of those is tried in int8, the cheapest gain last. Every evaluation is of a
``.tflite`` that was really written and run, and every one is logged. With the goal ``fastest``
the most promising mixtures within the budget are timed on this machine's CPU, and the fastest
of them is taken.

Publishes ``RUN/search/<model>/``: ``mixture.json`` (the float layers, as data), ``layers.csv``
(sensitivity by layer), ``evaluations.csv`` (every candidate) and ``budget.json``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.model_files import Mixture
from bedside.core.progress import Progress
from bedside.core.recommendation import SAME_SPEED
from bedside.core.study import CalibrationConfig
from bedside.flows import variants
from bedside.flows.search import timing
from bedside.flows.search.scorer import CandidateScorer, Score
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.graph import parse_graph
from bedside.schemes import SchemeChoice, mixed, quantizer
from bedside.schemes.biases import hold_biases
from bedside.schemes.layers import Layer, layers
from bedside.stages.quantize import quantizer_version

LAYERS = "layers.csv"
EVALUATIONS = "evaluations.csv"
BUDGET = "budget.json"
GOALS = ("smallest", "fastest")
SHORTLIST = 6
_CACHE = ".evaluations.jsonl"


@dataclass(frozen=True, slots=True)
class Budget:
    """Losses allowed to a mixture against the float model on validation images.

    Classes are those of the float model's threshold. Intervals are guarded, not points: the lower
    bound of each paired difference may lie at most so far below that of a model that equals the
    float one on the same images, for that is all that so few can show.
    """

    auroc_loss: float = 0.005
    sensitivity_loss: float = 0.0
    specificity_loss: float = 0.01
    flips: float = 0.01
    goal: str = "smallest"
    images: int | None = None
    evaluations: int = 40

    def holds(self, score: Score, reference: Score) -> bool:
        """Return whether a candidate stays within the budget."""
        return (score.auroc_low >= reference.auroc_low - self.auroc_loss - 1e-12
                and score.sensitivity_low >= (
                    reference.sensitivity_low - self.sensitivity_loss - 1e-12)
                and self._keeps_specificity(score.specificity_low, reference.specificity_low)
                and score.flips <= self.flips * score.images + 1e-12)

    def _keeps_specificity(self, own: float | None, reference: float | None) -> bool:
        """Return whether it stays within the budget; without a positive class there is none."""
        if own is None or reference is None:
            return own is reference
        return own >= reference - self.specificity_loss - 1e-12


@dataclass(frozen=True, slots=True)
class SearchResult:
    """``budget.json``: the layers kept out of int8, of how many, and the scores.

    ``timed``: with the goal ``fastest``, the candidates measured on this CPU.
    """

    model: str
    kept: tuple[str, ...]
    layers: int
    evaluations: int
    within: bool
    score: Score
    int8: Score
    float32: Score
    budget: Budget
    timed: tuple[timing.Timed, ...] = ()


def check(budget: Budget) -> None:
    """Refuse a budget that cannot be searched for.

    Raises:
        BadInput: a loss or share outside [0, 1), an unknown goal, or too few evaluations.
    """
    for name in ("auroc_loss", "sensitivity_loss", "specificity_loss", "flips"):
        value = getattr(budget, name)
        if not 0.0 <= value < 1.0:
            raise BadInput(f"must be in [0, 1); got {value}",
                           where=f"--max-{name.replace('_', '-')}",
                           remedy="Give a fraction, such as 0.005 for half a point.")
    if budget.goal not in GOALS:
        raise BadInput(f"unknown goal {budget.goal!r}", where="--goal",
                       remedy=f"Give {' or '.join(GOALS)}.")
    if budget.evaluations < 1:
        raise BadInput(f"must be 1 or more; got {budget.evaluations}", where="--evaluations",
                       remedy="Correct it.")


def search(run: Path, model: str, choice: SchemeChoice, config: CalibrationConfig, budget: Budget,
           progress: Progress | None = None) -> SearchResult:
    """Find a mixture of int8 and float layers inside a budget; resumes where it stopped.

    Args:
        run: the run folder.
        model: a converted model of it.
        choice: the mixture to be made, ``mixed+searched`` with options.
        config: the study's calibration.
        budget: evaluated on validation images only.
        progress: called with (stage, done, total).

    Raises:
        BadInput: an invalid budget, a scheme that is no searched mixture, or
            validation images that lack a class.
    """
    check(budget)
    options = frozenset(choice.options)
    if (choice.scheme.name != "mixed" or mixed.SEARCHED not in options
            or "biascorrected" in options):
        raise BadInput("not a mixture that can be searched", where=str(choice),
                       remedy="Give mixed+searched, with an estimator's or weights' option.")
    source, calibration, ranges = variants.prepared(run, model, choice, config, progress)
    scorer = CandidateScorer(run, source, budget.images)
    version = "search 3" if budget.goal == "smallest" else "search 4"
    key = artefact.stage_key(version, str(choice), calibration.name, budget, scorer.ids,
                             quantizer_version())
    folder = layout.search_dir(run, model)
    if artefact.finished(folder, "search", key):
        return codec.read_json(SearchResult, folder / BUDGET)
    with artefact.writing(folder, "search", key, resume=True) as scratch:
        bench = Bench(scorer, ranges, options, scratch / _CACHE, progress)
        table = sensitivity(bench)
        _write_layers(scratch / LAYERS, table)
        mixture = _choose(bench, [
            row.layer for row in sorted(table, key=lambda r: -r.alone.logit_damage)], budget)
        timed: tuple[timing.Timed, ...] = ()
        if budget.goal == "fastest":
            timed = timing.measure(run, scorer.spec.preprocess, scorer.ids, [
                (k, bench.mixture(k)) for k in _promising(bench, mixture, budget)], progress)
            # Candidates over budget were timed only for comparison.
            holding = [t for t in timed if budget.holds(bench.score(t.kept), scorer.reference)]
            mixture = timing.fastest(holding or timed[:1], SAME_SPEED).kept
        score = bench.score(mixture)
        result = SearchResult(model, tuple(x.name for x in bench.layers if x.name in mixture),
                              len(bench.layers), bench.evaluations,
                              budget.holds(score, scorer.reference), score, bench.score(()),
                              scorer.reference, budget, timed)
        bench.write_log(scratch / EVALUATIONS)
        artefact.write_text(scratch / BUDGET, codec.to_json(result))
        artefact.write_text(scratch / layout.MIXTURE, codec.to_json(Mixture(
            source, artefact.sha256_file(layout.model_dir(run, source) / layout.FLOAT_MODEL),
            result.kept)))
    return result


# ------------------------------------------------------------------ evaluations


class Bench:
    """The mixtures of one model, each written and scored once, also over interruptions."""

    def __init__(self, scorer: CandidateScorer, ranges: quantizer.Ranges, options: frozenset[str],
                 cache: Path, progress: Progress | None) -> None:
        self.scorer, self._ranges, self._options = scorer, ranges, options
        self._data, _ = hold_biases(scorer.float_bytes, ranges)
        self._graph = parse_graph(self._data)
        self.layers: tuple[Layer, ...] = layers(self._graph)
        self._cache, self._progress = cache, progress
        self._done: dict[tuple[str, ...], Score] = {}
        text = cache.read_text(errors="replace") if cache.is_file() else ""
        # A record cut short by a kill is made again; the next one starts on a new line.
        self._done.update(filter(None, map(_record, text.splitlines())))
        if text and not text.endswith("\n"):
            with cache.open("a") as handle:
                handle.write("\n")

    def scored(self) -> list[tuple[tuple[str, ...], Score]]:
        """Return every mixture so far with its score."""
        return list(self._done.items())

    @property
    def evaluations(self) -> int:
        """Number of mixtures evaluated."""
        return len(self._done)

    def mixture(self, float_layers: Sequence[str] | set[str]) -> bytes:
        """Return the ``.tflite`` with these layers kept out of int8."""
        names = [x.name for x in self.layers if x.name in set(float_layers)]
        rules = mixed.recipe(self._options) + mixed.layer_rules(self._graph, self._options, names)
        return quantizer.apply(self._data, rules, self._ranges)

    def score(self, float_layers: Sequence[str] | set[str]) -> Score:
        """Return the score of a mixture."""
        names = tuple(x.name for x in self.layers if x.name in set(float_layers))
        if names not in self._done:
            self._done[names] = self.scorer.score(self.mixture(names))
            with self._cache.open("a") as handle:
                handle.write(json.dumps({"kept": names, "score": asdict(self._done[names])}) + "\n")
            if self._progress:
                self._progress("search", self.evaluations, 2 * len(self.layers) + 20)
        return self._done[names]

    def write_log(self, path: Path) -> None:
        """Write every evaluation as CSV."""
        artefact.write_csv(
            path, ["evaluation", "layers_kept", *(f.name for f in fields(Score)), "kept"],
            ([number, len(names), *asdict(score).values(), " ".join(names)]
             for number, (names, score) in enumerate(self._done.items(), 1)))


@dataclass(frozen=True, slots=True)
class _Record:
    kept: tuple[str, ...]
    score: Score


@dataclass(frozen=True, slots=True)
class Row:
    """Sensitivity of one layer: alone in int8, and all but it in int8."""

    layer: Layer
    alone: Score
    all_but: Score


def sensitivity(bench: Bench) -> list[Row]:
    """Return the damage of every layer, one at a time and all but one."""
    names = [x.name for x in bench.layers]
    bench.score(())
    return [Row(x, bench.score([n for n in names if n != x.name]), bench.score([x.name]))
            for x in bench.layers]


def _choose(bench: Bench, order: list[Layer], budget: Budget) -> tuple[str, ...]:
    """Bisect the number of most sensitive layers to keep, then try each kept layer without."""
    names = [x.name for x in order]
    before = bench.evaluations

    def fits(float_layers: Sequence[str]) -> bool:
        return budget.holds(bench.score(float_layers), bench.scorer.reference)

    low, high = 0, len(names)
    while low < high:
        middle = (low + high) // 2
        if fits(names[:middle]):
            high = middle
        else:
            low = middle + 1
    float_layers = list(names[:high])
    gain = {x.name: x.weights if budget.goal == "smallest" else x.macs for x in order}
    for name in sorted(float_layers, key=lambda n: -gain[n]):
        if bench.evaluations - before >= budget.evaluations:
            break
        without = [n for n in float_layers if n != name]
        if fits(without):
            float_layers = without
    return tuple(float_layers)


def _promising(bench: Bench, float_layers: Sequence[str], budget: Budget) -> list[tuple[str, ...]]:
    """Return the choice so far, the fastest others within budget, all in int8, none in int8."""
    every = tuple(x.name for x in bench.layers)
    bench.score(every)
    holding = sorted((score.ms, names) for names, score in bench.scored()
                     if budget.holds(score, bench.scorer.reference))
    chosen = tuple(n for n in every if n in set(float_layers))
    return list(dict.fromkeys([chosen, *(names for _, names in holding[:SHORTLIST]), (), every]))


# ------------------------------------------------------------------ files


def _record(line: str) -> tuple[tuple[str, ...], Score] | None:
    """Return one record of the cache; None where the line is cut short."""
    try:
        row = codec.decode(_Record, codec.parse_json(line, _CACHE), _CACHE)
    except BadInput:
        return None
    return row.kept, row.score


def _write_layers(path: Path, table: Sequence[Row]) -> None:
    rows = [[r.layer.name, r.layer.op, r.layer.output, r.layer.weights, r.layer.macs,
             r.alone.logit_damage, r.alone.logit_shift, r.alone.flips, r.alone.auroc,
             r.all_but.logit_damage, r.all_but.flips, r.all_but.auroc, r.alone.images]
            for r in table]
    artefact.write_csv(path, [
        "layer", "op", "tensor", "weights", "macs", "alone_damage", "alone_shift", "alone_flips",
        "alone_auroc", "all_but_damage", "all_but_flips", "all_but_auroc", "images"], rows)


def with_scheme(run: Path, choice: SchemeChoice) -> None:
    """Add a scheme to the run's configuration, so that it is evaluated like any other."""
    config = stored.study(run)
    if str(choice) not in config.schemes:
        artefact.write_text(layout.study_file(run), codec.to_toml(
            replace(config, schemes=(*config.schemes, str(choice)))))
