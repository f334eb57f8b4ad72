"""The pipeline's stages, one module or package a step; no stage imports another."""
