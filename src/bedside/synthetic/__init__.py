"""Phantom: synthetic breast ultrasound for demonstration and tests."""
