"""Faults put into the code one at a time, to see whether its tests notice: `make mutants`. The list is in faults.py."""
