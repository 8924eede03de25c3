"""Conductivities from voltages."""
