"""Orchestrators that run stages many times: the calibration study and the accuracy budget."""
