"""Adapt other software to our jobs: one short module each, open to correction by its users.

A module names the packages it measures in `PACKAGES`; their versions go into every record.
"""
