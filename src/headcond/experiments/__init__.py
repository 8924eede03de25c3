"""Experiments of the two papers, with the baselines and published values they are compared with."""
