"""The phantom: synthetic breast ultrasound for demonstration and tests."""
