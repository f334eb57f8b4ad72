"""From a folder, a table or an array file of labelled images to the cases of a study.

``stage.prepare`` leads through: read, choose the task, scan every image, group, split, audit.
"""
