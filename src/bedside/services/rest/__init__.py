"""The REST server in front of one or more bundles."""
