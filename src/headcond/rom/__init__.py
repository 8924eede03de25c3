"""Reduced models of the forward problem, with a certified error bound."""
