"""Bundles: one build with all it takes to answer, in one canonical, hashed, signed zip.

The format is stated in ``docs/bundle.md``; the web app implements the same checks.
"""
