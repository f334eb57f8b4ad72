"""Which part of a file is the classifier, and what is refused before anything is changed."""

from __future__ import annotations

from dataclasses import dataclass

from bedside.core.errors import BadInput
from bedside.core.registry import did_you_mean
from bedside.foreign.tree import Net

# One graph decides where these call others or keep a state between two images.
_CONTROL_FLOW = frozenset({"WHILE", "IF", "CALL", "CALL_ONCE"} | {f"STABLEHLO_{n}" for n in (
    "WHILE", "CASE", "COMPOSITE", "CUSTOM_CALL", "REDUCE", "REDUCE_WINDOW", "SCATTER", "SORT")})
_STATE = frozenset({"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "HASHTABLE",
                    "HASHTABLE_FIND", "HASHTABLE_IMPORT", "RANDOM_UNIFORM",
                    "RANDOM_STANDARD_NORMAL", "MULTINOMIAL"})
_QUANTIZED = frozenset({"int2", "int4", "int8", "uint8", "int16"})
LOGITS, CAM = "logits", "cam"
_NAME_IT = "Name it, as "


class Choice(BadInput):
    """A choice between parts of a file that only a person can make; its remedy is a flag."""

    @property
    def flag(self) -> str:
        """The flag, with one of its values."""
        return (self.remedy or "").removeprefix(_NAME_IT).rstrip(".")


@dataclass(frozen=True, slots=True)
class Ends:
    """The chosen signature: names of inputs and outputs, and the tensors behind them."""

    signature: str | None
    subgraph: int
    inputs: dict[str, int]
    outputs: dict[str, int]


def signatures(net: Net) -> list[str]:
    """Return the names of a file's signatures."""
    return [_text(s.signatureKey) for s in net.model.signatureDefs or []]


def choose(net: Net, signature: str | None = None) -> Ends:
    """Select the subgraph of one signature; outputs of a stale signature are the graph's own.

    Raises:
        Choice: several signatures and none named.
        BadInput: no signature of that name.
    """
    names = signatures(net)
    if signature is not None and signature not in names:
        raise BadInput(f"no signature is named {signature!r}", where=net.where,
                       remedy=did_you_mean(signature, names))
    if signature is None and len(names) > 1:
        raise Choice(f"the file has {len(names)} signatures ({', '.join(sorted(names))}), and "
                     "which one classifies is not said", where=net.where,
                     remedy=f"{_NAME_IT}--signature {sorted(names)[0]}.")
    if not names:
        net.select(0)
        return Ends(None, 0, _own(net, net.graph.inputs), _own(net, net.graph.outputs))
    chosen = net.model.signatureDefs[names.index(signature or names[0])]
    subgraph = int(chosen.subgraphIndex)
    if not 0 <= subgraph < len(net.model.subgraphs):
        raise BadInput(f"signature {signature or names[0]!r} names a graph that is not there",
                       where=net.where, remedy="Export the model again.")
    net.select(subgraph)
    return Ends(names[names.index(signature or names[0])], subgraph,
                _named(net, chosen.inputs, net.graph.inputs),
                _named(net, chosen.outputs, net.graph.outputs))


def _text(name: object) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name or "")


def _own(net: Net, tensors: list[int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for tensor in tensors:
        name = net.name(tensor) or f"tensor {tensor}"
        found[name if name not in found else f"{name} ({tensor})"] = tensor
    return found


def _named(net: Net, items: list[object] | None, own: list[int]) -> dict[str, int]:
    """Return a signature's names; where it names other tensors than the graph's, the graph's."""
    found = {_text(i.name): int(i.tensorIndex) for i in items or []}  # type: ignore[attr-defined]
    if found and set(found.values()) <= set(own):
        return found
    rest = _own(net, own)
    # A signature that a quantizer left behind names the tensor before its last QUANTIZE.
    if len(found) == len(rest) == 1:
        return dict(zip(found, own, strict=True))
    return rest


def problems(net: Net) -> list[BadInput]:
    """Return what makes the selected graph no float classifier that can be normalised."""
    found = []
    custom = sorted({net.custom_name(o) for o in net.operations if net.op(o) == "CUSTOM"})
    if custom:
        flex = any(n.startswith("Flex") for n in custom)
        found.append(BadInput(
            f"custom operations ({', '.join(custom)}), which no target here runs",
            where=net.where, remedy="Convert the model without SELECT_TF_OPS." if flex else
            "Convert the model with built-in operations only."))
    names = {net.op(o) for o in net.operations}
    for kinds, word in ((_CONTROL_FLOW, "control flow"), (_STATE, "state or randomness")):
        if names & kinds:
            found.append(BadInput(f"{word} ({', '.join(sorted(names & kinds))})", where=net.where,
                                  remedy="Export a plain classifier: one graph from image to "
                                  "scores."))
    found += _quantized(net)
    if len(net.graph.inputs) != 1:
        found.append(BadInput(f"the model has {len(net.graph.inputs)} inputs; one image is needed",
                              where=net.where, remedy="Export it with a single image input."))
    if not net.operations or not net.graph.outputs:
        found.append(BadInput("the graph computes nothing", where=net.where,
                              remedy="Export the model again."))
    return found


def _integers(net: Net) -> list[int]:
    used = {t for o in net.operations for t in (*o.inputs, *o.outputs) if t >= 0}
    return sorted(t for t in used - set(net.graph.inputs) if net.dtype(t) in _QUANTIZED)


def without_scale(net: Net) -> bool:
    """Return whether a file holds integers and nothing says what they stand for."""
    integer = _integers(net)
    return bool(integer) and not any(_has_scale(net, t) for t in integer)


def _quantized(net: Net) -> list[BadInput]:
    integer = _integers(net)
    if not integer:
        return []
    kind = net.dtype(integer[0])
    if without_scale(net):
        return [BadInput(f"{kind} tensors without scale and zero point, as "
                         f"{net.name(integer[0])!r}: "
                         "their values have no meaning", where=net.where,
                         remedy="Give the model from before quantization.")]
    return [BadInput(f"not a floating-point model: it holds {kind} tensors", where=net.where,
                     remedy="Give the model from before quantization.")]


def _has_scale(net: Net, tensor: int) -> bool:
    parameters = net.graph.tensors[tensor].quantization
    scale = None if parameters is None else parameters.scale
    return scale is not None and len(scale) > 0


def scores(net: Net, ends: Ends, wanted: str | None, classes: int) -> str:
    """Return the name of the output that holds the class scores.

    The rule: the one named; else the only one; else the one called ``logits``; else the only one
    whose number of values is that of the classes (or one, of two classes).

    Args:
        net: the model.
        ends: its signature.
        wanted: ``--output``.
        classes: how many were declared; 0 where that is not known yet.

    Raises:
        Choice: several outputs could be meant.
        BadInput: no output of that name.
    """
    names = [n for n in ends.outputs if n != CAM or len(ends.outputs) == 1]
    if wanted is not None:
        if wanted not in ends.outputs:
            raise BadInput(f"no output is named {wanted!r}", where=net.where,
                           remedy=did_you_mean(wanted, ends.outputs))
        return wanted
    if len(names) == 1:
        return names[0]
    if LOGITS in names:
        return LOGITS
    widths = {classes, 1} if classes == 2 else {classes}
    fitting = [n for n in names if net.size(ends.outputs[n]) in widths]
    if classes and len(fitting) == 1:
        return fitting[0]
    shown = ", ".join(f"{n} {list(net.shape(t))}" for n, t in ends.outputs.items())
    raise Choice(f"the model has {len(ends.outputs)} outputs ({shown}), and which one scores "
                 "the classes is not said", where=net.where,
                 remedy=f"{_NAME_IT}--output {(fitting or names)[0]}.")
