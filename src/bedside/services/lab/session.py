"""One phone's measurement: journalled as it arrives, published as measurements at the end.

Every upload has a key of its own and is written to disk before it is answered, so a phone may
send anything again after a lost connection, and the workbench may be started again.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bedside import metrics
from bedside.core import codec
from bedside.core.build import Measurement
from bedside.core.errors import BadInput
from bedside.core.types import Estimate, Evidence
from bedside.metrics.design import clusters_of
from bedside.runfolder import artefact, latency, layout, protocol
from bedside.services.lab.plan import ACCELERATORS, Plan

SESSIONS = "lab"
RECORD = "session.json"
BATCH = 32
_KEY = re.compile(r"(cell|time|logits)-(\d{1,4})-(wasm|webgpu|webnn)(?:-(\d{1,6}))?\Z")
_REMEDY = "Open the lab's page again."
Hold = Callable[[Path], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class Device:
    """What a phone says of itself; ``name`` may be typed by its holder."""

    name: str
    browser: str
    platform: str
    secure: bool
    threads: int
    accelerators: tuple[str, ...]
    gpu: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """A phone in the lab. Only the hash of its token is kept."""

    id: str
    token_sha256: str
    plan: str
    device: Device
    images: bool
    began: str
    finished: tuple[str, ...] | None = None
    chunks: dict[str, str] = field(default_factory=dict)


class Refused(BadInput):
    """A request that cannot be right; ``status`` is the HTTP status for it."""

    def __init__(self, status: int, fault: str) -> None:
        super().__init__(fault, where="lab", remedy=_REMEDY)
        self.status = status


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:32].strip("-") or "unknown"


def target_id(device: Device, accelerator: str) -> str:
    """Return ``lab-<device>-<browser>-cpu|webgpu|webnn``, with ``-http`` where not secure."""
    name = {"wasm": "cpu"}.get(accelerator, accelerator)
    plain = "" if device.secure else "-http"
    return f"lab-{_slug(device.name)}-{_slug(device.browser)}-{name}{plain}"


class Lab:
    """The sessions of a run's lab. ``hold`` keeps other writers off the run while it publishes."""

    def __init__(self, plan: Plan, hold: Hold = nullcontext) -> None:
        self.plan, self._hold = plan, hold
        self.folder = plan.run / SESSIONS
        self._fresh: dict[str, Session] = {}

    # -------------------------------------------------------------- joining

    def join(self, device: Device, images: bool) -> tuple[Session, str]:
        """Begin a session; returns it and the one-time token, which is not kept."""
        if not set(device.accelerators) <= set(ACCELERATORS) or not device.accelerators:
            raise Refused(400, "unknown accelerators")
        token = secrets.token_urlsafe(32)
        session = Session(
            secrets.token_hex(8), hashlib.sha256(token.encode()).hexdigest(), self.plan.key(),
            device, images and bool(self.plan.cases),
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        self._save(session)
        return session, token

    def by_token(self, token: str) -> Session:
        """Return the session of a token. Raises Refused where there is none."""
        digest = hashlib.sha256(token.encode()).hexdigest()
        for session in self.sessions():
            if hmac.compare_digest(session.token_sha256, digest):
                if session.plan != self.plan.key():
                    raise Refused(409, "the study has changed since this device joined")
                return session
        raise Refused(401, "unknown token")

    def sessions(self) -> list[Session]:
        """Return every session of this run, oldest first."""
        found = []
        if self.folder.is_dir():
            for place in self.folder.iterdir():
                if (place / RECORD).is_file():
                    if place.name not in self._fresh:
                        self._fresh[place.name] = codec.read_json(Session, place / RECORD)
                    found.append(self._fresh[place.name])
        return sorted(found, key=lambda s: (s.began, s.id))

    def _save(self, session: Session) -> None:
        artefact.write_text(self.folder / session.id / RECORD, codec.to_json(session))
        self._fresh[session.id] = session

    # -------------------------------------------------------------- uploads

    def put(self, session: Session, key: str, value: Any) -> bool:
        """Keep one upload; False where the very same was there. Raises Refused."""
        if session.finished is not None:
            raise Refused(410, "this device has finished; its token is used up")
        self._check(session, key, value)
        text = codec.to_json(value)
        digest = hashlib.sha256(text.encode()).hexdigest()
        held = session.chunks.get(key)
        if held is not None:
            if held != digest:
                raise Refused(409, f"{key} was uploaded before with other contents")
            return False
        artefact.write_text(self.folder / session.id / "chunks" / f"{key}.json", text)
        self._save(replace(session, chunks={**session.chunks, key: digest}))
        return True

    def _check(self, session: Session, key: str, value: Any) -> None:
        match = _KEY.match(key)
        wrong = Refused(400, "an upload that does not read")
        if match is None or not isinstance(value, dict):
            raise wrong
        kind, index, accelerator, number = match.groups()
        if int(index) >= len(self.plan.variants) or accelerator not in session.device.accelerators:
            raise wrong
        if kind == "cell":
            if number is not None or value.get("status") not in ("ok", "unsupported", "failed") \
                    or set(value) != {"status", "reason"} \
                    or not isinstance(value["reason"], str | None):
                raise wrong
        elif kind == "time":
            ms = value.get("ms")
            if number is None or int(number) >= self.plan.config.rounds or set(value) != {"ms"} \
                    or not _numbers(ms, self.plan.config.samples) \
                    or not all(v >= 0 for v in ms or ()):
                raise wrong
        else:
            rows, classes = value.get("logits"), len(self.plan.variants[int(index)].task.classes)
            start = int(number) if number is not None else -1
            if not session.images:
                raise Refused(403, "no images were shared with this device")
            if set(value) != {"logits"} or start < 0 or start % BATCH \
                    or not isinstance(rows, list) \
                    or len(rows) != len(self.plan.cases[start:start + BATCH]) or not rows \
                    or not all(_numbers(r, classes) for r in rows):
                raise wrong

    def _chunk(self, session: Session, key: str) -> Any:
        if key not in session.chunks:
            return None
        return codec.parse_json(codec.read_text(self.folder / session.id / "chunks"
                                                / f"{key}.json"), key)

    # -------------------------------------------------------------- the end

    def finish(self, session: Session) -> tuple[str, ...]:
        """Publish a measurement for each cell; again for the same session: the same answer.

        Raises:
            Refused: uploads are missing, or another process is writing the run (503: a phone
                then tries again by itself).
        """
        if session.finished is not None:
            return session.finished
        cells = [(i, a) for i in range(len(self.plan.variants))
                 for a in session.device.accelerators]
        missing = [k for i, a in cells for k in self._needed(session, i, a)
                   if k not in session.chunks]
        if missing:
            raise Refused(409, f"{len(missing)} uploads are missing, first {missing[0]}")
        with self._held():
            names = tuple(self._publish(session, i, a) for i, a in cells)
            self._save(replace(session, finished=names))
        return names

    @contextmanager
    def _held(self) -> Iterator[None]:
        with ExitStack() as held:
            try:
                held.enter_context(self._hold(self.plan.run))
            except BadInput as error:
                raise Refused(503, error.fault) from None
            yield

    def _needed(self, session: Session, index: int, accelerator: str) -> list[str]:
        cell = self._chunk(session, f"cell-{index}-{accelerator}")
        keys = [f"cell-{index}-{accelerator}"]
        if cell is None or cell["status"] != "ok":
            return keys
        keys += [f"time-{index}-{accelerator}-{r}" for r in range(self.plan.config.rounds)]
        if session.images:
            keys += [f"logits-{index}-{accelerator}-{s}"
                     for s in range(0, len(self.plan.cases), BATCH)]
        return keys

    def _publish(self, session: Session, index: int, accelerator: str) -> str:
        variant, device, config = self.plan.variants[index], session.device, self.plan.config
        target = target_id(device, accelerator)
        cell = self._chunk(session, f"cell-{index}-{accelerator}")
        fine = cell["status"] == "ok"
        samples = [(r, i, float(ms)) for r in range(config.rounds) if fine for i, ms in enumerate(
            self._chunk(session, f"time-{index}-{accelerator}-{r}")["ms"])]
        logits = self._logits(session, index, accelerator) if fine and session.images else None
        evidence: dict[str, Evidence] = {"latency": "measured"} if fine else {}
        if logits is not None:
            evidence["accuracy"] = "measured"
        measurement = Measurement(
            variant=variant.id, model=variant.model,
            scheme=variant.scheme_id, target=target,
            status=cell["status"], reason=cell["reason"], evidence=evidence,
            size_bytes=variant.size_bytes,
            latency_ms=latency.summary(samples, device.threads if accelerator == "wasm" else 1),
            delegated_fraction=1.0 if fine and accelerator != "wasm" else None,
            variant_sha256=variant.sha256,
            predictions=layout.PREDICTIONS if logits is not None else None,
            metrics=self._metrics(variant, logits) if logits is not None else {},
            images=len(self.plan.cases) if logits is not None else 0,
            images_total=len(self.plan.cases) + self.plan.held_back if logits is not None else 0,
            machine=_machine(session, accelerator))
        folder = layout.measurement_dir(self.plan.run, variant.id, target)
        # Append-only: an older measurement of this device moves to the history.
        artefact.keep_history(folder)
        key = artefact.stage_key("lab", session.id, variant.sha256, accelerator)
        with artefact.writing(folder, "evaluate", key,
                              facts=protocol.fact(self.plan.run)) as scratch:
            artefact.write_text(scratch / layout.MEASUREMENT, codec.to_json(measurement))
            latency.write(scratch / layout.LATENCY, samples)
            if logits is not None:
                np.savez(scratch / layout.PREDICTIONS,
                         ids=np.array([c.id for c in self.plan.cases]),
                         split=np.array([c.split for c in self.plan.cases]),
                         labels=self._labels(variant), logits=logits)
                name = layout.cell_name(variant.id, target)
                protocol.opened(self.plan.run, "lab", name,
                                sum(c.split == "test" for c in self.plan.cases),
                                {name: artefact.sha256_file(scratch / layout.PREDICTIONS)})
        return layout.cell_name(variant.id, target)

    def _labels(self, variant: Any) -> Any:
        classes = {c: i for i, c in enumerate(variant.task.classes)}
        return np.array([classes[c.label] for c in self.plan.cases], np.int64)

    def _logits(self, session: Session, index: int, accelerator: str) -> Any:
        rows = [r for s in range(0, len(self.plan.cases), BATCH)
                for r in self._chunk(session, f"logits-{index}-{accelerator}-{s}")["logits"]]
        return np.array(rows, np.float32)

    def _metrics(self, variant: Any, logits: Any) -> dict[str, dict[str, Estimate]]:
        positive = variant.task.positive
        at = variant.task.classes.index(positive) if positive is not None else None
        splits = np.array([c.split for c in self.plan.cases])
        labels = self._labels(variant)
        groups = np.array([c.group or c.id for c in self.plan.cases])
        return {s: metrics.evaluate(labels[splits == s], logits[splits == s], at,
                                    clusters_of(groups[splits == s]))
                for s in self.plan.config.splits if (splits == s).any()}


def _numbers(values: Any, count: int) -> bool:
    return isinstance(values, list) and len(values) == count and count > 0 and all(
        isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)
        for v in values)


def _machine(session: Session, accelerator: str) -> dict[str, str]:
    device = session.device
    facts = {"device": device.name, "browser": device.browser, "system": device.platform,
             "accelerator": accelerator, "threads": str(device.threads),
             "context": "https" if device.secure else "plain http, one thread",
             "inputs": "test images" if session.images else "noise of the same size",
             "measured": session.began, "runtime": layout.LAB_RUNTIME}
    if accelerator == "webgpu" and device.gpu:
        facts["gpu"] = device.gpu
    return facts
