"""The device lab: phones measure builds and send their answers back."""
