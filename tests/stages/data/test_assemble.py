"""Case ids follow from content, and images of several classes are set aside with their flags."""

from __future__ import annotations

from pathlib import Path

from data_fixture import save, scanned, texture

from bedside.stages.data import assemble, scan


def test_ids_are_those_of_the_content_and_count_copies(tmp_path: Path) -> None:
    for name, seed in (("a.png", 1), ("b.png", 1), ("c.png", 2)):
        save(tmp_path / name, texture(seed))
    with scan.Thumbs() as thumbs:
        images = scanned(tmp_path, ["c.png", "b.png", "a.png"], thumbs)
    c, b, a = (image.case for image in assemble.with_ids(images))
    assert b.id == f"{a.id}-2" and c.id != a.id and a.id.startswith("c")
    assert (a.height_px, a.width_px) == texture(1).shape
    renamed = assemble.with_ids([images[2]])[0].case.id
    assert renamed == a.id, "the id does not depend on the other images"
