"""Stage ``evaluate``: predictions and latency of every build."""
