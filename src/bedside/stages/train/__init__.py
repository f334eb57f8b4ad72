"""Stage ``train``: networks, augmentation, checkpoints, tuning."""
