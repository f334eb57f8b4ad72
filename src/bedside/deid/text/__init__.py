"""Text burned into pixels: ``find`` says where it is, ``search`` takes it out.

``find.holds_text(picture)`` answers for anyone who only wants to know.
"""
