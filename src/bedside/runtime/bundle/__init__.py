"""Bundles: one build with everything needed to run it, in one canonical, hashed, signed zip.

The format is stated in ``docs/bundle.md``; the web app implements the same checks.
"""
