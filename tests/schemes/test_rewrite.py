"""Files to tables and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bedside.runfolder import layout
from bedside.runtime.litert import LiteRTModel
from bedside.schemes.rewrite import packed, tables


@pytest.mark.parametrize("scheme", ["float32", "float16", "dynamic", "int8"])
def test_a_rewritten_file_computes_the_same(tiny_quantized, scheme):
    """The quantizer's files keep their weights behind the tables; they come along."""
    path = layout.variant_dir(tiny_quantized, f"resnet34-{scheme}") / layout.VARIANT_MODEL
    again = LiteRTModel(Path("m"), content=packed(tables(path.read_bytes())))
    image = np.random.default_rng(0).random((1, 32, 32, 1), np.float32)
    np.testing.assert_array_equal(again.run(image)["logits"],
                                  LiteRTModel(path).run(image)["logits"])
