"""Read labelled images from a folder, a table or an array file and build a study's cases.

``stage.prepare`` runs the steps: read, choose the task, scan every image, group, split, audit.
"""
