"""Types, errors, codec and registry: no logic of the domain."""
