"""Model card and evidence file, filled from a run.

``fields.toml`` lists the source of every field; ``compute/`` holds the functions for fields without
a single path. The room is below the stages because two of them fill the same table: ``stages.card``
for a run, ``stages.bundle`` for a bundle.
"""
