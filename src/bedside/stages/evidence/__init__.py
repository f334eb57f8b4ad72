"""Stage ``evidence``: operating points, paired answers, and how good each cell is by itself."""
