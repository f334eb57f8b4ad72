"""Bundles without a study: a hand-made one around any bytes, for tests of the format."""

from __future__ import annotations

from dataclasses import replace

from bedside.core import codec
from bedside.core.types import Abstention, Preprocess, Task
from bedside.runtime.bundle import manifest as m
from bedside.runtime.bundle import writer

SIDE = 4


def parts(model=b"model bytes"):
    """A manifest and its files, to be changed by a test."""
    spec = Preprocess(height_px=SIDE, width_px=SIDE)
    vectors = (m.ReferenceVector("reference/1.png", "reference/1.bin", (0.5, -0.5)),)
    manifest = m.Manifest(
        schema=m.SCHEMA, kind=m.KIND, name="net-int8@cpu", bedside="0", notice=m.NOTICE,
        model=m.BundleModel("net-int8", "net", "int8", "cpu", "cpu", "tflite",
                            "model/model.tflite", 2, False),
        task=Task(("benign", "malignant"), "malignant"), preprocess=spec,
        operating_point=m.OperatingPoint(), files={})
    files = {
        "model/model.tflite": ("model", model),
        "reference.json": ("reference", codec.to_json(
            m.Reference(vectors, 0.1, "made up")).encode()),
        "reference/1.png": ("reference-image", b"png"),
        "reference/1.bin": ("reference-pixels", bytes(range(SIDE * SIDE))),
        "evidence.json": ("evidence", b"{}\n"),
        "model-card.md": ("model-card", b"# Card\n"),
        "licence.txt": ("licence", b"none\n"),
        "change.json": ("change", codec.to_json(m.Change(reason="first")).encode()),
    }
    return manifest, files


def packed(key=None, **changes):
    """The bytes of a sound bundle (with fields of the manifest replaced)."""
    manifest, files = parts()
    return writer.pack(replace(manifest, **changes), files, key)


def golden(folder):
    """The signed bundle that the web app is held to as well, and its public key (32 bytes).

    Signatures of Ed25519 are determined, and this key is a test's: the same bytes every time.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    path = folder / "golden.key"
    path.write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()))
    manifest, files = parts()
    known = m.Familiarity(("logit:0", "logit:1"), (0.25, -0.5), ((2.0, 0.5), (0.5, 1.0)), 9.0,
                          {"brightness": m.Range(0.1, 0.6)}, 20, 10, 1, 0)
    files["familiarity.json"] = ("familiarity", codec.to_json(known).encode())
    band = Abstention(0.35, 0.8, None, {"missed": 0.05, "alarms": 0.2},
                      {"missed": 40, "alarms": 60})
    manifest = replace(
        manifest, below_floor=("AUC of 0.612 on test images",),
        operating_point=replace(manifest.operating_point, abstention=band))
    return writer.pack(manifest, files, path), key.public_key().public_bytes_raw()


def judged():
    """Outputs and pixels with what Python makes of them: features, quality measures, answer."""
    import numpy as np

    from bedside.runtime import decide, features

    rng = np.random.default_rng(7)
    cases = []
    for shape, dtype, channels, classes, positive, band, limit in (
            ((5, 4), np.uint8, 1, 2, True, None, 0.5),
            ((3, 6), np.uint8, 3, 2, True, Abstention(0.0, 1.0), 0.5),
            ((3, 3), np.uint8, 1, 2, True, Abstention(0.3, 0.3001), 0.5),
            ((4, 4), np.uint16, 1, 3, False, Abstention(confidence=0.999), 0.5),
            ((4, 3), np.uint16, 1, 3, False, Abstention(confidence=0.1), 0.5),
            ((2, 2), np.uint8, 1, 2, True, Abstention(0.3, 0.3001), 0.01),
            ((1, 1), np.uint8, 1, 2, False, None, 0.5)):
        top = int(np.iinfo(dtype).max)
        pixels = rng.integers(0, top + 1, (*shape, channels)).astype(dtype)
        pixels[0, 0], pixels[-1, -1] = 0, top
        logits = rng.normal(0, 2, (1, classes)).astype(np.float32)
        cam = rng.normal(0, 1, (1, 3, 2, classes)).astype(np.float32)
        outputs = {"logits": logits, "cam": cam}
        names = features.names(classes, True)
        quality, of_image = features.of_image(pixels)
        vector = [*features.of_outputs(outputs), *of_image]
        known = m.Familiarity(names, tuple(v + 0.1 for v in vector), tuple(
            tuple(float(i == j) for j in range(len(names))) for i in range(len(names))),
            limit, {}, 1, 1, 0, 0)
        task = Task(tuple("abc"[:classes]), "b" if positive else None)
        point = m.OperatingPoint(0.3 if positive else None, 1.7, abstention=band)
        answer = decide.decide("x", logits[0].tolist(), dict(zip(names, vector, strict=True)), {},
                               task, point, known)
        cases.append({
            "width": shape[1], "height": shape[0], "channels": channels,
            "dtype": pixels.dtype.name, "pixels": pixels.ravel().tolist(),
            "logits": logits[0].tolist(), "cam_shape": list(cam.shape),
            "cam": cam.ravel().tolist(), "names": list(names), "mean": list(known.mean),
            "threshold": point.threshold, "temperature": point.temperature,
            "classes": list(task.classes), "positive": task.positive,
            "features": dict(zip(names, vector, strict=True)),
            "quality": quality, "distance": answer.distance,
            "familiar": answer.familiar, "limit": known.limit,
            "predicted": decide.predicted_class(list(answer.probabilities.values()), task,
                                                point.threshold),
            "abstention": codec.encode(band),
            "withheld": (("unsure" if answer.familiar else "unlike") if answer.withheld
                         else None),
            "probabilities": list(answer.probabilities.values())})
    return cases
