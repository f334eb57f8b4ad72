"""The report: one page for people, and the same results for programs."""
