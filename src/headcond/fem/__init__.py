"""Finite elements: the complete electrode model on tetrahedra, and its solvers."""
