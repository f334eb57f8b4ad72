"""Stage ``finetune``: quantization-aware fine-tuning of a float model.

``replay`` runs a float ``.tflite`` in torch as its INT8 file will compute; ``stage`` trains it.
"""
