"""``keygen``, ``bundle``, ``verify``, ``install``, ``installed`` and ``predict``."""

from __future__ import annotations

import platform
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from bedside.cli import output
from bedside.cli.output import Reporter
from bedside.core import codec
from bedside.core.errors import BadInput, MissingComponent
from bedside.runtime import store as stores
from bedside.runtime.bundle.manifest import NOTICE, OperatingPoint
from bedside.runtime.bundle.reader import Bundle
from bedside.runtime.decide import Answer
from bedside.runtime.engine import Engine, Load, Raw

STDIN_BYTES = 200_000_000
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})


def _print_json(value: Any) -> None:
    print(codec.to_json(value), end="")


def keygen(out: Path, json: bool) -> None:
    """``bedside keygen``."""
    from bedside.runtime.bundle import signing

    private, public, name = signing.keygen(out)
    if json:
        _print_json({"schema": 1, "private": str(private), "public": str(public),
                     "fingerprint": name})
        return
    for text in (f"{private}: signs; keep it secret, and keep a copy",
                 f"{public}: give it to whoever verifies; fingerprint {name}"):
        output.stdout.print(text, soft_wrap=True, markup=False)


def bundle(run: Path, target: str, out: Path, json: bool, *, variant: str | None,
           key: Path | None, against: Path | None, against_run: Path | None,
           licence: Path | None, trust: tuple[Path, ...]) -> None:
    """``bedside bundle``."""
    from bedside.flows import gate, study
    from bedside.runfolder import layout
    from bedside.runtime.bundle import signing
    from bedside.runtime.bundle.reader import keys, open_bundle
    from bedside.runtime.files import write_bytes
    from bedside.stages.bundle import build as deploy

    if against_run is not None and against is None:
        raise BadInput("without --against", where="--against-run",
                       remedy="Give the previous bundle with --against.")
    previous = None
    if against is not None:
        own = {signing.public_of(key)} if key is not None else set()
        previous = open_bundle(against, keys(trust) | own, allow_unsigned=not trust)
    if variant is None and (run / layout.RECOMMENDATION).is_file():
        gate.current(run, study.load(run))  # what an older one chose is not offered
    with Reporter() as progress:
        data, made = deploy.make(run, target, variant, key=key, against=previous,
                                 against_run=against_run, licence=licence, progress=progress)
    write_bytes(out, data)
    _say(made, json, {"file": str(out)})


def _say(bundle: Bundle, json: bool, more: dict[str, Any]) -> None:
    manifest, point = bundle.manifest, bundle.manifest.operating_point
    facts = {"schema": 1, "id": bundle.id, "name": manifest.name,
             "signed": bundle.signer is not None, "signer": bundle.signer,
             "sha256": bundle.digest, "size_bytes": bundle.size_bytes,
             "task": manifest.task, "operating_point": point, "notice": NOTICE, **more}
    if json:
        _print_json(facts)
        return
    rows = [["id", bundle.id], ["build", manifest.name], ["signature", bundle.signed],
            ["classes", ", ".join(manifest.task.classes)],
            ["decision", point.rule + (f" (threshold {point.threshold:.3f})"
                                       if point.threshold is not None else "")],
            ["MB", f"{bundle.size_bytes / 1e6:.2f}"], *([k, str(v)] for k, v in more.items())]
    output.table("", ["", ""], rows)
    if bundle.signer is None:
        output.stderr.print(f"{bundle.where}: {bundle.signed}", soft_wrap=True, markup=False)


def _store(given: Path | None) -> Path:
    return given or stores.default_store()


def verify(file: Path, trust: tuple[Path, ...], store: Path | None, json: bool) -> None:
    """``bedside verify``: every check, nothing loaded."""
    found = stores.open_trusted(file, _store(store), trust)
    _say(found, json, {"verified": True})


def install(file: Path, trust: tuple[Path, ...], store: Path | None, json: bool) -> None:
    """``bedside install``: verify, self-test here, keep, switch."""
    from bedside.runtime.bundle.reader import read_bytes
    from bedside.runtime.device import Device

    place = _store(store)
    data = read_bytes(file)
    found = stores.open_trusted(data, place, trust, str(file))
    with Device(found) as device:
        test = device.test
    stores.keep(place, found, data, trust)
    _say(found, json, {"self_test": (
        test if json else f"{test.vectors} vectors on {test.architecture}, largest difference "
        f"{test.largest_difference:.3g} of {test.tolerance:.3g} allowed")})


def installed(activate: str | None, store: Path | None, json: bool) -> None:
    """``bedside installed``: what is here, and which is active."""
    place = _store(store)
    if activate is not None:
        path = stores.find(place, activate)
        stores.activate(place, stores.open_trusted(path, place).id)
    ids, active = stores.installed(place)
    if json:
        _print_json({"schema": 1, "store": str(place), "active": active, "bundles": ids})
        return
    if not ids:
        output.stdout.print(f"no bundle is installed in {place}", soft_wrap=True, markup=False)
        return
    output.table("", ["bundle", ""], [[i, "active" if i == active else ""] for i in ids])


# ------------------------------------------------------------------ predict


def predict(source: Path, images: list[Path], json: bool, *, threads: int | None,
            cam: Path | None, trust: tuple[Path, ...], store: Path | None) -> None:
    """``bedside predict``: a bundle (file, id or ``active``) or a variant's folder."""
    place = _store(store)
    # The engine imports while this process verifies.
    with Engine() as engine:
        if source.is_dir() or (not source.exists() and "/" in str(source)):
            asked: _Variant | _Bundle = _Variant(source, engine, threads)
        else:
            asked = _Bundle(source, engine, threads, place, trust)
        answers = list(_answers(asked, images, cam))
    if json:
        _print_json({"schema": 1, **asked.facts, "answers": answers, "notice": NOTICE})
        return
    output.table("", ["image", "class", "probability", "remarks"],
                  [[Path(a.image).name, a.predicted, f"{a.probability:.3f}",
                    "; ".join(a.warnings) or "—"] for a in answers], {2})
    for text in (*asked.remarks, NOTICE):
        output.stderr.print(text, soft_wrap=True, markup=False)


class _Variant:
    """A variant's folder: nothing but its classes is known of it."""

    def __init__(self, folder: Path, engine: Engine, threads: int | None) -> None:
        from bedside.runtime.variant import read_variant

        variant, data = read_variant(folder)
        engine.open(Load(((str(folder / variant.file), data),), variant.preprocess,
                         len(variant.task.classes), threads=threads or 2))
        self.engine, self.task, self.channels = engine, variant.task, variant.preprocess.channels
        self.point, self.known = OperatingPoint(threshold=None), None
        self.facts: dict[str, Any] = {"variant": variant.id, "model_sha256": variant.sha256,
                                      "threshold": None}
        self.remarks = ("not calibrated: the likeliest class",)


class _Bundle:
    """A verified bundle, self-tested on this device."""

    def __init__(self, source: Path, engine: Engine, threads: int | None, store: Path,
                 trust: tuple[Path, ...]) -> None:
        from bedside.runtime.device import load_of, self_test

        data, where = stores.read_source(source, store)
        found = stores.open_trusted(data, store, trust, where)
        manifest = found.manifest
        engine.open(load_of(found, threads))
        test = self_test(engine, found)
        self.engine, self.task = engine, manifest.task
        self.channels = manifest.preprocess.channels
        self.point, self.known = manifest.operating_point, found.familiarity
        self.facts = {
            "variant": manifest.model.variant,
            "model_sha256": manifest.files[manifest.model.file].sha256,
            "threshold": self.point.threshold, "positive": self.task.positive,
            "bundle": {"id": found.id, "name": manifest.name, "signed": found.signer is not None,
                       "signer": found.signer},
            "operating_point": self.point, "self_test": test}
        self.remarks = (f"{manifest.name}, {found.signed}; {self.point.rule}; self-test passed on "
                        f"{platform.machine()} ({test.vectors} vectors)",)


def _answers(asked: _Variant | _Bundle, images: list[Path], cam: Path | None) -> Iterator[Answer]:
    from bedside.runtime.decide import decide

    for number, (path, raw, data) in enumerate(_run(asked, images), 1):
        answer = decide(str(path), raw.logits, raw.features, raw.quality, asked.task,
                       asked.point, asked.known)
        if cam is not None:
            from bedside.runtime.files import write_bytes
            from bedside.runtime.overlay import draw

            # A number, not the image's name: names of files may be names of people.
            target = cam / f"{number:04d}-{answer.predicted}.png"
            index = asked.task.classes.index(answer.predicted)
            write_bytes(target, draw(_pixels(path, data, asked.channels), raw, index))
            answer = replace(answer, overlay=str(target))
        yield answer


def _run(asked: _Variant | _Bundle, images: list[Path]
         ) -> Iterator[tuple[Path, Raw, bytes | None]]:
    """Every image with what the engine found; pictures in a row are handed over ahead."""
    for dicom, paths in groupby(_images_in(images), _is_dicom):
        if not dicom:
            sent: deque[tuple[Path, bytes]] = deque()
            for raw in asked.engine.images(_sending(paths, sent)):
                path, data = sent.popleft()
                yield path, raw, data
            continue
        for path in paths:
            pixels = _dicom(path, asked.channels)
            little = pixels.astype(pixels.dtype.newbyteorder("<"))
            yield path, asked.engine.pixels(little.tobytes(), pixels.shape, pixels.dtype.name,
                                            str(path)), None


def _sending(paths: Iterator[Path], sent: deque[tuple[Path, bytes]]
             ) -> Iterator[tuple[str, bytes]]:
    for path in paths:
        data = _read(path)
        sent.append((path, data))
        yield str(path), data


def _pixels(path: Path, data: bytes | None, channels: int) -> Any:
    from bedside.runtime.preprocess import decode

    return _dicom(path, channels) if data is None else decode(data, channels, str(path))


def _read(path: Path) -> bytes:
    if str(path) == "-":
        data = sys.stdin.buffer.read(STDIN_BYTES + 1)
        if len(data) > STDIN_BYTES:
            raise BadInput("more than 200 MB on standard input", where=path,
                           remedy="Give one image.")
        return data
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror})", where=path,
                       remedy="Check the path and its permissions.") from None


def _is_dicom(path: Path) -> bool:
    if str(path) == "-" or path.suffix.lower() in PICTURES or not path.is_file():
        return False
    if path.suffix.lower() in (".dcm", ".dicom"):
        return True
    with path.open("rb") as handle:
        return handle.read(132)[128:] == b"DICM"


def _dicom(path: Path, channels: int) -> Any:
    """The pixels of a DICOM file, decoded in a process of its own."""
    import importlib.util

    if importlib.util.find_spec("pydicom") is None:
        raise MissingComponent("DICOM needs the package 'pydicom', which is not installed",
                               remedy="Install the workbench: pip install 'bedside[workbench]'.")
    from bedside.readers import dicom_file

    return dicom_file.pixels(path.parent, path.name, channels)


def _images_in(paths: list[Path]) -> Iterator[Path]:
    """The images named; a folder stands for the images in it, sorted. Raises BadInput."""
    known = PICTURES | {".dcm", ".dicom"}
    for path in paths:
        if str(path) != "-" and not path.exists():
            raise BadInput("no such file", where=path, remedy="Check the path.")
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        inside = sorted(p for p in path.iterdir() if p.suffix.lower() in known)
        if not inside:
            raise BadInput("no PNG, JPEG, BMP, TIFF or DICOM in the folder", where=path,
                           remedy="Give image files or a folder of them.")
        yield from inside
