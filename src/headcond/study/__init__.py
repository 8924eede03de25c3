"""Studies: configuration, consistency of its keys, paths, and what every workflow step shares."""
