"""The part that ships to a device: numpy, Pillow and LiteRT, no torch."""
