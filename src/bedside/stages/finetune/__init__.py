"""Stage ``finetune``: weights trained a little further with INT8's rounding in the loop.

``replay`` runs a float ``.tflite`` in torch as its INT8 file will compute; ``stage`` trains it.
"""
