"""Model card and evidence file, filled from a run.

``fields.toml`` says where every field comes from; ``compute/`` holds what a path cannot say.
The room stands below the stages, because two of them fill the same table: ``card.stage`` for a
run, ``deploy`` for a bundle.
"""
