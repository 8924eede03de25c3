"""Cohorts: generated heads, label maps with simulated contrast, real scans."""
