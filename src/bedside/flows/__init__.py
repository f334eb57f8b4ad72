"""Orchestrators: which stages run, in which order, and what can be skipped."""
