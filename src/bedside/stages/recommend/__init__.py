"""Stage ``recommend``: one variant or none for each target, with the reasons."""
