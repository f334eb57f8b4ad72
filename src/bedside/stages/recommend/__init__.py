"""Stage ``recommend``: one variant for each target, or none, and why."""
