"""Stage ``bundle``: what a device needs of a build, sealed in one file."""
