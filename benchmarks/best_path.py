"""The best bedside path on this CPU against LiteRT, ONNX Runtime and OpenVINO driven directly.

    python benchmarks/best_path.py [ROUNDS [NETWORK…]] --save best-path

For each network at 224 pixels (random weights: the time does not depend on them), bedside's
builds of this machine's CPU are timed in its own workers, and the runtimes in bare processes
that import nothing of bedside: LiteRT on the same `.tflite` files, ONNX Runtime and OpenVINO on
what torch's own exporter writes, quantized by their own tools with the same images. A pilot
picks bedside's path and who comes near the fastest of the others; then all of them are timed in
interleaved rounds, each in a fresh process with the same threads, images, warm-up and samples.

- their time over ours: of the fastest of the others, by round, with a 95% interval (Student's t
  on logarithms); it is to reach 0.98;
- best FP32 over best INT8, any runtime: at least 1.5 for VGG16 and ResNet34.

Resumes by network: runs/proof/best-path/<network>.json.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import ROOT, RUNS, finish, positional
from scipy import stats

from bedside import schemes, targets
from bedside.core import codec, registry
from bedside.core.build import Build
from bedside.core.study import CalibrationConfig, ModelConfig
from bedside.models import MODELS
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.launch import run_worker
from bedside.runtime.worker import Job
from bedside.stages import calibrate, quantize
from bedside.stages.build import build
from bedside.stages.convert import convert

sys.path.insert(0, str(ROOT / "tests" / "support"))
from tiny import write_tiny_data, write_untrained

PX, THREADS, IMAGES, CALIBRATION = 224, 2, 10, 20
WARMUP, PILOT, ROUNDS, NEAR = 5, 3, 30, 1.15
GOAL_RATIO, GOAL_INT8 = 0.98, 1.5
INT8_NETWORKS = ("vgg16", "resnet34")
OURS = [("cpu", s) for s in ("float32", "float16", "dynamic", "int8")] + [
    (t, s) for t in ("onnxruntime", "openvino") for s in ("float32", "int8")]

# The runtimes by themselves: nothing of bedside is imported.
BARE = """
import json, sys, time
import numpy as np
kind, path, images, warmup, threads = sys.argv[1:]
images, warmup, threads = np.load(images), int(warmup), int(threads)
if kind == "litert":
    from ai_edge_litert.interpreter import Interpreter
    model = Interpreter(path, num_threads=threads)
    model.allocate_tensors()
    at = model.get_input_details()[0]["index"]
    outs = [d["index"] for d in model.get_output_details()]
    def run(x):
        model.set_tensor(at, x)
        model.invoke()
        return [model.get_tensor(i) for i in outs]
elif kind == "onnxruntime":
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    def run(x):
        return session.run(None, {name: x})
else:
    import openvino
    compiled = openvino.Core().compile_model(path, "CPU", {
        "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", **(
            {"INFERENCE_PRECISION_HINT": "f32"} if "float32" in path else {})})
    request = compiled.create_infer_request()
    def run(x):
        request.infer([x])
        return request.get_output_tensor(0).data.copy()
for i in range(warmup):
    run(images[i % len(images)])
samples = []
for image in images:
    start = time.perf_counter_ns()
    run(image)
    samples.append((time.perf_counter_ns() - start) / 1e6)
print(json.dumps(samples))
"""

Timer = Callable[[], float]


def prepare(run: Path, network: str) -> str:
    """A converted network and its variants."""
    if not artefact.finished(layout.data_dir(run), "data"):
        write_tiny_data(run, px=PX, count=2 * CALIBRATION)
    model = write_untrained(run, ModelConfig(network, image_px=PX))
    convert(run, model)
    folder = calibrate.calibrate(run, model, CalibrationConfig(images=CALIBRATION), None)
    for scheme in ("float32", "float16", "dynamic"):
        quantize.quantize(run, model, schemes.parse(scheme), None, None)
    quantize.quantize(run, model, schemes.parse("int8"), folder, calibrate.read_ranges(folder))
    return model


def exported(run: Path, network: str, model: str, images: np.ndarray, folder: Path
             ) -> dict[str, tuple[str, Path]]:
    """What the other runtimes are given, by name: (runtime, file)."""
    found = {f"litert-{s}": ("litert", layout.variant_dir(run, f"{model}-{s}") / "model.tflite")
             for s in ("float32", "float16", "dynamic", "int8")}
    for runtime, end in (("onnxruntime", "onnx"), ("openvino", "xml")):
        for scheme in ("float32", "int8"):
            found[f"{runtime}-{scheme}"] = (runtime, folder / f"{runtime}-{scheme}.{end}")
    if all(path.is_file() for _, path in found.values()):
        return found
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _export_torch(run, network, model, found["onnxruntime-float32"][1])
    _quantize_onnx(found["onnxruntime-float32"][1], found["onnxruntime-int8"][1], images)
    _openvino(found, images)
    return found


def _export_torch(run: Path, network: str, model: str, path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    class Logits(torch.nn.Module):
        def __init__(self, inside: torch.nn.Module) -> None:
            super().__init__()
            self.inside = inside

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            # The head's own average takes its size from the tensor, which the exporter refuses;
            # the mean of the class activation map is the same number.
            return self.inside(image)["cam"].mean((1, 2))  # type: ignore[no-any-return]

    module = registry.lookup(MODELS, network, "model")(ModelConfig(network, image_px=PX), 2)
    module.load_state_dict(load_file(layout.model_dir(run, model) / layout.WEIGHTS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Logits(module).eval(), (torch.zeros(1, PX, PX, 1),), str(path),
                          input_names=["image"], output_names=["logits"], dynamo=False)


def _quantize_onnx(source: Path, path: Path, images: np.ndarray) -> None:
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.left, None)
            return None if image is None else {"image": image}

    folded = path.with_suffix(".folded.onnx")
    quant_pre_process(str(source), str(folded), skip_symbolic_shape=True)
    quantization.quantize_static(str(folded), str(path), Reader(), per_channel=True,
                                 quant_format=quantization.QuantFormat.QDQ,
                                 activation_type=quantization.QuantType.QUInt8,
                                 weight_type=quantization.QuantType.QInt8)


def _openvino(found: dict[str, tuple[str, Path]], images: np.ndarray) -> None:
    import nncf
    import openvino

    model = openvino.convert_model(str(found["onnxruntime-float32"][1]))
    openvino.save_model(model, str(found["openvino-float32"][1]), compress_to_fp16=False)
    small = nncf.quantize(model, nncf.Dataset(list(images)), subset_size=len(images))
    openvino.save_model(small, str(found["openvino-int8"][1]), compress_to_fp16=False)


def ours(run: Path, model: str, work: Path) -> dict[str, Timer]:
    """A timer of each of bedside's builds: the median of one round."""
    timers: dict[str, Timer] = {}
    for target, scheme in OURS:
        variant = f"{model}-{scheme}"
        build(run, variant, target)
        folder = layout.build_dir(run, variant, target)
        made = codec.read_json(Build, folder / layout.BUILD)
        if made.status != "ok":
            print(f"{variant}@{target}: {made.reason}", file=sys.stderr)
            continue
        spec = stored.model_spec(run, model).preprocess
        main = made.main or next(iter(made.files))
        with stored.pixel_store(run, spec) as store:
            ids = store.ids[:IMAGES]
        job = Job("latency", targets.backend(targets.load(target)).RUNNER, str(folder / main),
                  made.files[main], THREADS, str(layout.cache_dir(run, spec)), ids,
                  str(work / "result.json"), WARMUP,
                  {str(folder / n): h for n, h in made.files.items() if n != main})

        def once(job: Job = job) -> float:
            result = run_worker(job, work)
            assert result.fault is None, result.fault
            return statistics.median(result.samples_ms)

        timers[f"bedside {target}-{scheme}"] = once
    return timers


def others(files: dict[str, tuple[str, Path]], images: Path) -> dict[str, Timer]:
    """A timer of each runtime driven directly."""
    def timer(runtime: str, path: Path) -> Timer:
        def once() -> float:
            done = subprocess.run(
                [sys.executable, "-c", BARE, runtime, str(path), str(images), str(WARMUP),
                 str(THREADS)], check=True, capture_output=True, text=True,
                env={**os.environ, "OMP_NUM_THREADS": str(THREADS)})
            return statistics.median(json.loads(done.stdout.splitlines()[-1]))
        return once
    return {f"direct {name}": timer(*given) for name, given in files.items()}


def interleaved(timers: dict[str, Timer], rounds: int, seed: int) -> dict[str, list[float]]:
    """The median of every round, all in shuffled order round by round."""
    order, names = np.random.default_rng(seed), sorted(timers)
    found: dict[str, list[float]] = {n: [] for n in names}
    for number in range(rounds):
        for k in order.permutation(len(names)):
            found[names[int(k)]].append(timers[names[int(k)]]())
        print(f"round {number + 1}/{rounds}", file=sys.stderr, flush=True)
    return found


def ratio(slow: list[float], fast: list[float]) -> dict[str, float]:
    """Geometric mean of ``slow`` over ``fast`` by round, with its 95% interval."""
    logs = np.log(np.array(slow) / np.array(fast))
    half = (float(stats.t.ppf(0.975, len(logs) - 1)) * float(logs.std(ddof=1))
            / np.sqrt(len(logs)) if len(logs) > 1 else float("nan"))
    return {k: round(float(np.exp(v)), 4) for k, v in (
        ("value", logs.mean()), ("low", logs.mean() - half), ("high", logs.mean() + half))}


def compare(network: str, rounds: int) -> dict[str, object]:
    """One network: pilot, choice, rounds."""
    run, work = RUNS / "best-path" / "run", RUNS / "best-path" / network
    work.mkdir(parents=True, exist_ok=True)
    model = prepare(run, network)
    with stored.pixel_store(run, stored.model_spec(run, model).preprocess) as store:
        tensors = np.stack([store.tensor(i) for i in store.ids[:CALIBRATION]])
    np.save(work / "images.npy", tensors[:IMAGES])
    mine = ours(run, model, work)
    theirs = others(exported(run, network, model, tensors, work / "exported"),
                    work / "images.npy")
    pilot = {n: statistics.median(v) for n, v in
             interleaved({**mine, **theirs}, min(PILOT, rounds), 0).items()}

    def best(names: list[str]) -> str:
        return min(names, key=pilot.__getitem__)

    chosen = best(list(mine))
    fastest = pilot[best(list(theirs))]
    near = [n for n in theirs if pilot[n] <= NEAR * fastest]
    float_, int8 = (best([n for n in pilot if n.endswith(s)]) for s in ("-float32", "-int8"))
    samples = interleaved({n: {**mine, **theirs}[n] for n in sorted({
        chosen, *near, float_, int8})}, rounds, 1)
    median = {n: statistics.median(v) for n, v in samples.items()}
    rival = min(near, key=median.__getitem__)
    return {"network": network, "rounds": rounds, "bedside_path": chosen, "fastest_direct": rival,
            "theirs_over_ours": ratio(samples[rival], samples[chosen]),
            "best_float32": float_, "best_int8": int8,
            "float32_over_int8": ratio(samples[float_], samples[int8]),
            "median_ms": {n: round(v, 2) for n, v in median.items()},
            "pilot_ms": {n: round(v, 2) for n, v in sorted(pilot.items())},
            "samples_ms": {n: [round(x, 3) for x in v] for n, v in samples.items()}}


def main() -> None:
    """Every network, resumed."""
    words = positional()
    rounds = int(words[0]) if words else ROUNDS
    networks, rows = words[1:] or sorted(MODELS), []
    for network in networks:
        path = RUNS / "best-path" / f"{network}-{rounds}.json"
        if not path.is_file():
            found = compare(network, rounds)
            path.write_text(json.dumps(found))
        rows.append(json.loads(path.read_text()))
    reached = [r["theirs_over_ours"]["high"] >= GOAL_RATIO for r in rows]
    faster = [r["float32_over_int8"]["value"] >= GOAL_INT8 for r in rows
              if r["network"] in INT8_NETWORKS]
    finish({"what": "the best bedside path against the fastest of LiteRT, ONNX Runtime and "
                    "OpenVINO driven directly, and best FP32 over best INT8",
            "threads": THREADS, "goal_ratio": GOAL_RATIO, "goal_int8": GOAL_INT8,
            "reached": sum(reached), "networks": len(rows), "int8_reached": sum(faster),
            "int8_networks": len(faster), "rows": rows})
    if not (all(reached) and all(faster)):
        sys.exit("a goal is not reached")


if __name__ == "__main__":
    main()
