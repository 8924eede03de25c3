"""Figures: plain functions from arrays and tables to matplotlib figures."""
