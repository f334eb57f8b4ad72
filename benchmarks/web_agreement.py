"""The app in Chromium against Python: the class of every validation image of BUSI.

    python benchmarks/web_agreement.py [--save web-agreement]

The exported app with the trained EfficientNet-Lite0, FP32 and INT8; each image's file is given to
the page as a person would choose it, so decoding, resizing, engine and decision are all in it.
"""

from __future__ import annotations

import json

import numpy as np
from common import RUNS, finish, need_busi
from headless import chromium, served
from trained_bundle import bundle, trained_run

from bedside.runfolder import stored
from bedside.runtime.bundle.reader import open_bundle
from bedside.runtime.device import Device
from bedside.services.app import export

SCHEMES = ("float32", "int8")


def main() -> None:
    """Measure and print (or save)."""
    busi = need_busi()
    files = [busi / c.file for c in stored.cases(trained_run()) if c.split == "val"]
    paths = {s: bundle(scheme=s) for s in SCHEMES}
    export.export(list(paths.values()), RUNS / "web-site")
    found = {}
    with served(RUNS / "web-site") as url, chromium() as browser:
        version = browser.version
        page = browser.new_page()
        page.goto(url)
        for scheme, path in paths.items():
            opened = open_bundle(path, (), allow_unsigned=True)
            with Device(opened) as device:
                wanted = [a for a, _ in device.images((str(f), f.read_bytes()) for f in files)]
            page.wait_for_selector(f"#model option[value='{opened.id}']", state="attached",
                                   timeout=120_000)
            page.select_option("#model", opened.id)
            page.wait_for_selector("#runs-on", timeout=120_000)
            classes = opened.manifest.task.classes
            differ, off = [], 0.0
            for file, answer in zip(files, wanted, strict=True):
                page.evaluate("delete document.querySelector('#result').dataset.logits")
                page.set_input_files("#file", file)
                page.wait_for_selector("#result[data-logits] #verdict", timeout=120_000)
                logits = json.loads(page.get_attribute("#result", "data-logits") or "")
                off = max(off, float(np.abs(np.subtract(logits, answer.logits)).max()))
                predicted = int(page.get_attribute("#result", "data-predicted") or -1)
                differ += [file.name] * (classes[predicted] != answer.predicted)
            found[scheme] = {"images": len(files), "same_class": len(files) - len(differ),
                             "largest_logit_difference": off,
                             "ran_on": page.get_attribute("#runs-on", "data-accelerator")}
    finish({"what": "the web app's class against Python's, every validation image of BUSI, "
                    "trained EfficientNet-Lite0", "chromium": version, "schemes": found,
            "goal": "the same class for every image"})


if __name__ == "__main__":
    main()
