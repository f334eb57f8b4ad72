"""What ships to a device: numpy, Pillow and LiteRT; no torch."""
