"""One step of the way each; stages never import each other."""
