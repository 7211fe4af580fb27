"""Decide: screen, correlate and enforce as sans-io step functions."""
