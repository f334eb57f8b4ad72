"""Stage ``bundle``: everything a device needs of a build, signed in one file."""
