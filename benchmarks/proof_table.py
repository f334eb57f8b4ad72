"""Write the tables of docs/proof/README.md and of README.md's demo from the saved figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from common import PROOF, ROOT

MARK = "<!-- table -->"
DEMO, DEMO_END = "<!-- demo -->", "<!-- /demo -->"
Facts = dict[str, Any]


def _training(f: Facts) -> tuple[str, str]:
    goal = f"AUC {f['goal_val_auroc']}" if f["goal_val_auroc"] else (
        "20 min" if f["network"] == "efficientnet_lite0" else "10 epochs at full width")
    return (f"validation AUC {f['best_val_auroc']:.3f} (best of {f['epochs']} epochs at "
            f"{f['image_px']} px, n = {f['images']['val']}), {f['minutes']} min"), goal


def _folds(f: Facts) -> tuple[str, str]:
    one = f["float32"]["auroc"]
    eight = f["int8"]["auroc"]
    return (f"out-of-fold AUC {one['value']:.3f} [{one['low']:.3f}, {one['high']:.3f}], n = "
            f"{one['n']}; INT8 {eight['value']:.3f}; labels flipped by INT8: "
            f"{f['labels_flipped_by_int8']}"), f"AUC {f['float32']['goal_auroc']}"


def _busi_evidence(f: Facts) -> tuple[str, str]:
    told = []
    for name, network in f["networks"].items():
        e = network["all images that did not calibrate"]
        lost, share = e["auroc_lost"], e["share_flipped"]
        told.append(f"{name} ({network['chosen'].removeprefix(name + '-')}): AUC lost "
                    f"{lost['value']:.4f} [{lost['low']:.4f}, {lost['high']:.4f}], flipped "
                    f"{e['labels_flipped']} of {e['n']} [{share['low']:.3f}, {share['high']:.3f}]")
    return "; ".join(told), f"AUC {f['goal_auroc_lost']}, {100 * f['goal_share_flipped']:.0f}%"


def _demo(f: Facts) -> tuple[str, str]:
    return (f"{f['minutes']} min, {f['peak_memory_bytes'] / 1e9:.2f} GB, {len(f['rows'])} variants",
            f"{f['goal_minutes']} min, {f['goal_memory_bytes'] / 1e9:.0f} GB")


def _mutants(f: Facts) -> tuple[str, str]:
    slowest = max(b["seconds"] for b in f["bombs"].values())
    peak = max(b["worker_peak_mb"] for b in f["bombs"].values())
    return (f"{f['mutants']} mutants and {f['public_files']} public files: {f['read']} read, "
            f"{f['set_aside']} set aside, {f['without_reason']} without a reason; "
            f"{len(f['bombs'])} bombs refused in at most {slowest} s and {peak} MB"), (
                "none without a reason; 2 s, 512 MB")


def _import(f: Facts) -> tuple[str, str]:
    small, many, usual = f["rows"]
    height, width = usual["size_px"]
    return (f"{many['files']} files: {many['passed']} passed, {sum(many['quarantined'].values())} "
            f"set apart, {many['minutes']} min, largest process {many['largest_process_mb']} MB "
            f"({small['largest_process_mb']} MB at {small['files']}); at {width} × {height} "
            f"{usual['processor_seconds_per_file']} processor seconds a file and "
            f"{usual['largest_process_mb']} MB (n = {usual['files']})", "bounded memory")


def _coverage(f: Facts) -> tuple[str, str]:
    wide = [r["held"] for r in f["rows"] if not r["sparse"] and "missed" not in r["metric"]]
    sparse = [r["held"] for r in f["rows"] if r["sparse"] and "missed" not in r["metric"]]
    shown = max(r["false_shown"] for r in f["rows"] if "false_shown" in r)
    return (f"held in {100 * min(wide):.1f} to {100 * max(wide):.1f}% of {f['replicates']} "
            f"replicates in {len(wide)} cases, in {100 * min(sparse):.1f} to "
            f"{100 * max(sparse):.1f}% where fewer than five rare patients are expected "
            f"({len(sparse)}); false shown at most {100 * shown:.1f}%"), "93 to 97%; 2.5%"


def _power(f: Facts) -> tuple[str, str]:
    low, high = f["realised"]
    first = f["realised_from_a_first_study"]
    return (f"{100 * low:.0f} to {100 * high:.0f}% in {f['replicates']} studies of each plan; "
            f"{100 * first[0]:.0f} to {100 * first[1]:.0f}% where a first study named the number"
            ), "75 to 85% for a promised 80%"


def _harm(f: Facts) -> tuple[str, str]:
    told = []
    for r in f["rows"]["power"]:
        beside, holm = (", ".join(f"{100 * v:.0f}%" for v in r[k].values())
                        for k in ("worse in families", "worse if adjusted after Holm"))
        told.append(f"{r['positives']} positives: worse in {100 * r['worse alone']:.0f}% alone, "
                    f"{beside} in families of {' and '.join(r['worse in families'])} ({holm} "
                    "were it adjusted)")
    return ("; ".join(told) + f" of {f['studies_of_power']} studies; false shown at most "
            f"{100 * f['false_shown_most']:.2f}% in {f['scenarios']} scenarios of "
            f"{f['replicates']} replicates"), (
        f"equal; {100 * f['false_shown_allowed']:.2f}% (2.5% + two standard errors)")


def _statistics(f: Facts) -> tuple[str, str]:
    found = ", ".join(f"{name} {s} s" for name, s in f["seconds"].items())
    return (f"{f['test_images']} test images × {f['variants']} variants: {found}",
            f"{f['goal_s']} s")


def _recall(f: Facts) -> tuple[str, str]:
    kinds = ", ".join(f"{name} {k['found']}/{k['twins']}" for name, k in f["kinds"].items())
    wrong = sum(k["wrong_joins"] for k in f["kinds"].values())
    return f"{kinds}; {wrong} wrong joins", f"recall {f['goal_recall']} of each kind"


def _growth(f: Facts) -> tuple[str, str]:
    last = f["rows"][-1]
    peak = max(r["peak_memory_bytes"] for r in f["rows"])
    text = (f"{last['images']} images: {last['processor_seconds'] / 60:.1f} processor minutes, "
            f"{last['seconds'] / 60:.1f} min on the clock, {peak / 1e6:.0f} MB; processor time "
            f"× {f['growth_of_processor_time']} for × {last['images'] / f['rows'][0]['images']:g} "
            f"images (n log n: × {f['n_log_n_growth']})")
    if "minutes_for_100000_of_busi_on_two_cores_estimated" in f:
        text += (f"; of BUSI's size {f['minutes_for_100000_of_busi_on_two_cores_estimated']} min "
                 "to look at them (estimated from 624)")
    return text, f"{f['goal_minutes']} min, {f['goal_memory_bytes'] / 1e9:.1f} GB"


def _leakage(f: Facts) -> tuple[str, str]:
    arms = {a["split"]: a["metrics"]["auroc"] for a in f["arms"]}
    parts = [f"by {name} {a['value']:.3f} [{a['low']:.3f}, {a['high']:.3f}]"
             for name, a in arms.items()]
    gain = f["difference"]
    return (f"AUC {', '.join(parts)}; difference {gain['value']:+.3f} [{gain['low']:+.3f}, "
            f"{gain['high']:+.3f}], n = {f['images']}, {f['related']} of them in a group of "
            f"several ({f['image_px']} px, {f['epochs']} epochs, {f['folds']} folds)"), ""


def _ood(f: Facts) -> tuple[str, str]:
    def rate(k: Facts) -> str:
        w = k["warned"]
        return f"{w['count']} of {k['n']} [{w['low']:.0%}, {w['high']:.0%}]"

    false = ", ".join(f"{rate(k)} {name}" for name, k in f["false_warnings"].items())
    found = ", ".join(f"{name} {rate(k)}" for name, k in f["detection"].items())
    return f"false warnings {false}; warned: {found}", ""


def _agreement(f: Facts) -> tuple[str, str]:
    parts = ", ".join(f"{name} {s['same_class']} of {s['images']}"
                      for name, s in f["schemes"].items())
    return f"same class: {parts}", f["goal"]


def _best_path(f: Facts) -> tuple[str, str]:
    ratios = ", ".join(f"{r['network']} {r['theirs_over_ours']['value']:.2f} "
                       f"[{r['theirs_over_ours']['low']:.2f}, {r['theirs_over_ours']['high']:.2f}]"
                       for r in f["rows"])
    gains = ", ".join(f"{r['network']} {r['float32_over_int8']['value']:.2f}" for r in f["rows"])
    return (f"their time over ours: {ratios}; best FP32 over best INT8: {gains}",
            f"{f['goal_ratio']} within the interval; {f['goal_int8']} for VGG16 and ResNet34")


def _aarch64(f: Facts) -> tuple[str, str]:
    said = ", ".join(f"{scheme}: {r['changed']} of {r['images']} classes differ, logits by at most "
                     f"{r['largest_difference']:.2g}" for scheme, r in f["logits"].items())
    return (f"{said}; predict BUNDLE: {f['predict']['classes_that_differ']} of "
            f"{f['predict']['images']}"), f["goal"]


def _phantom_evidence(f: Facts) -> tuple[str, str]:
    def loss(a: Facts) -> str:
        t = a["tests"]["sensitivity"]
        return f"{a['variant']} {a['answer']} (sensitivity {t['difference'][0]:+.4f}, "\
               f"{t['lost']} lost, {t['gained']} gained)"

    said = "; ".join(loss(a) for a in f["answers"])
    failed = ", ".join(c["subject"] for c in f["failed_checks_of_the_damaged"])
    return f"{said}; the gate of the damaged network fails: {failed}", "INT8 shown, damaged worse"


READ: dict[str, Callable[[Facts], tuple[str, str]]] = {
    "training-": _training,
    "busi-evidence": _busi_evidence,
    "folds": _folds,
    "demo": _demo,
    "phantom-rate": lambda f: (f"{f['images_per_s']} images/s", f"{f['goal_images_per_s']}"),
    "preprocess-rate": lambda f: (f"{f['images_per_s']['two threads']} images/s on two cores",
                                  f"{f['goal_images_per_s']}"),
    "evaluate-rate": lambda f: (f"ratio {f['ratio_median']}", f"{f['goal']}"),
    "data-loading": lambda f: (f"ratio {f['ratio']}", f"{f['goal']}"),
    "large-folder": lambda f: (f"{f['images']} images, {f['peak_memory_bytes'] / 1e6:.0f} MB, "
                               f"{f['seconds']} s", f"{f['goal_memory_bytes'] / 1e6:.0f} MB"),
    "deid-answer-key": lambda f: (f"{f['fraction']:.3%} of {f['actions']} actions on {f['files']} "
                                  f"files and {f['files with text in their pixels']} with text in "
                                  f"their pixels, {sum(f['held for a person'].values())} of which "
                                  "wait for a person", f"{f['required']:.2%}"),
    "estimate-error": lambda f: (f"median {f['median_error']:.1%}, largest {f['max_error']:.1%} "
                                 f"of {len(f['rows'])} rows", f"median {f['goal']:.0%}"),
    "npu-placement": lambda f: (f"{f['whole']} of {f['cells']} cells whole", f["goal"]),
    "tflite-mutants": lambda f: (f"{f['mutants']} files, parent ended {f['parent_ended']} times, "
                                 f"{f['without_reason']} without a reason", "0 and 0"),
    "foreign-models": lambda f: (
        f"{f['classes_differ']} of {f['images'] * len(f['files'])} answers of {len(f['files'])} "
        f"files differ, probabilities by at most {f['largest_difference']:.1g}; VGG16 "
        f"({f['vgg16']['megabytes']} MB) in {f['vgg16']['seconds']} s on the clock (load "
        f"{f['vgg16']['load_before']}), {f['vgg16']['processor_seconds']} s of processor time "
        f"and {f['vgg16']['peak_mb']} MB", "no class differs; 5 s, 500 MB"),
    "simulator-harness": lambda f: (f"ratio {f['ratio_median']}", f"{f['goal']}"),
    "dicom-mutants": _mutants,
    "dicom-export": lambda f: (
        f"{f['listed']} of {f['files']} listed, {f['seconds']} s, {f['parent_peak_mb']} MB and "
        f"{f['worker_peak_mb']} MB a worker", "bounded memory"),
    "import-export": _import,
    "duplicate-recall": _recall,
    "interval-coverage": _coverage,
    "planned-power": _power,
    "harm-families": _harm,
    "recomputed-demo": lambda f: (f"{f['differ']} of {f['numbers']} numbers differ", "0"),
    "calibration-coverage": lambda f: (
        f"intercept {100 * f['least']['intercept']:.1f} to {100 * f['most']['intercept']:.1f}%, "
        f"slope {100 * f['least']['slope']:.1f} to {100 * f['most']['slope']:.1f}% of "
        f"{f['replicates']} replicates; a calibrated model rejected in at most "
        f"{100 * f['most rejected']:.1f}%", "93 to 97%; 5%"),
    "statistics-speed": _statistics,
    "start-up": lambda f: (
        f"{f['ratio']['version']} for --version, {f['ratio']['help']} for --help",
        f"{f['goal']:g} for --version"),
    "phantom-evidence": _phantom_evidence,
    "estimator-time": lambda f: (
        ", ".join(f"{n} {x}" for n, x in f["added"].items()) + f" at {f['images']} images",
        f"{f['goal']:g}"),
    "search-time": lambda f: (
        ", ".join(f"{r['budget']} {r['minutes']} min" for r in f["rows"]),
        f"{f['goal_minutes']} min"),
    "serve-load": lambda f: (
        f"{f['images_per_s']} images/s, p99 {f['p99_ms_at_15_per_s']} ms at 15 images/s, memory "
        f"{f['memory_growth']:+.1%} over {f['seconds'] / 60:.0f} minutes",
        f"{f['goal_images_per_s']} images/s, {f['goal_p99_ms']} ms, flat"),
    "audit-growth": _growth,
    "leakage": _leakage,
    "text-removal": lambda f: (
        f"{f['passed with more than 1% of the ink left']} of {f['passed strings']} passed strings "
        "keep more than 1% of their ink; "
        f"{f['passed images with more than 1% of other tissue pixels changed']} passed images with "
        "more than 1% of other tissue changed; quarantined "
        f"{f['quarantined of clean images (synthetic)'][0]} of "
        f"{f['quarantined of clean images (synthetic)'][1]} clean and "
        f"{f['quarantined of texted images'][0]} of {f['quarantined of texted images'][1]} texted",
        "0; 0; 5%; 20%"),
    "text-below": lambda f: (
        "; ".join(f"{name}: {k['images set apart']} of {k['images']} images set apart, of the "
                  f"{k['passed strings']} other strings {k['of these gone to 1%']} gone to 1%, "
                  f"{k['of these with more than half left']} with more than half left"
                  for name, k in f["kinds"].items()), "reported, not promised"),
    "bundle-flips": lambda f: (f"{f['refused']} of {f['flips']} refused", "all"),
    "ood": _ood,
    "web-agreement": _agreement,
    "web-speed": lambda f: (
        f"first result {f['first_result_s_median']} s (at most {f['first_result_s_max']}), engine "
        f"{f['engine_ratio_median']} times the bare loop",
        f"{f['goal_first_result_s']:g} s, {f['goal_engine_ratio']}"),
    "install-size": lambda f: (f"{f['megabytes']} MB", f"{f['goal_megabytes']} MB"),
    "device-speed": lambda f: (
        f"cold start {f['cold_start_s_median']} s, steady state {f['steady_ratio_median']} times "
        "bare", f"{f['goal_cold_start_s']} s, {f['goal_steady_ratio']}"),
    "best-path": _best_path,
    "aarch64": _aarch64,
    "kills": lambda f: (f"{f['kills']} kills, identical", "identical"),
}


def rows() -> list[str]:
    """One line a figure."""
    lines = ["| figure | what | found | goal |", "|---|---|---|---|"]
    for path in sorted(PROOF.glob("*.json")):
        facts = json.loads(path.read_text())
        reader = next((READ[k] for k in READ if path.stem.startswith(k)), None)
        found, goal = reader(facts) if reader else ("see the file", "")
        lines.append(f"| [{path.stem}]({path.name}) | {facts['what']} | {found} | {goal} |")
    return lines


def _interval(e: Facts) -> str:
    return f"{e['value']:.3f} [{e['low']:.3f}, {e['high']:.3f}]"


def demo_lines(f: Facts) -> list[str]:
    """What the main README says of the demo."""
    n = next(r["accuracy"]["n"] for r in f["rows"] if r["status"] == "ok")
    lines = [f"After installation `make demo` took {f['minutes']} minutes and "
             f"{f['peak_memory_bytes'] / 1e9:.1f} GB on two cores of an {f['processor']}",
             f"([demo.json](docs/proof/demo.json)) and found, on {n} synthetic test images that "
             "say nothing about patients:", "",
             "| variant | MB | accuracy [95%] | AUC [95%] | median ms |", "|---|---|---|---|---|"]
    lines += [f"| {r['variant']} | {r['size_bytes'] / 1e6:.2f} | {_interval(r['accuracy'])} | "
              f"{_interval(r['auroc'])} | {r['latency_ms']['median']:.2f} |"
              for r in f["rows"] if r["status"] == "ok"]
    return lines


def write_demo() -> None:
    """Replace what stands between the demo's marks in the main README."""
    page = ROOT / "README.md"
    before, _, rest = page.read_text().partition(DEMO)
    after = rest.partition(DEMO_END)[2]
    lines = demo_lines(json.loads((PROOF / "demo.json").read_text()))
    page.write_text(f"{before}{DEMO}\n" + "\n".join(lines) + f"\n{DEMO_END}{after}")


def main() -> None:
    """Replace what stands below the mark."""
    write_demo()
    page = PROOF / "README.md"
    text = page.read_text().partition(MARK)[0].rstrip()
    page.write_text(f"{text}\n\n{MARK}\n\n" + "\n".join(rows()) + "\n")


if __name__ == "__main__":
    main()
