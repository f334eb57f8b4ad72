"""Detection and removal of text burned into pixels; :func:`.remove.clean` is the step."""
