"""Near-duplicate search: candidates by hash, landmarks and registration, groups."""
