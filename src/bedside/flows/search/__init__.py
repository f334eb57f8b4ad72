"""Searches that run stages many times: the accuracy budget and the calibration study."""
