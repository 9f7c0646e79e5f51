"""Faults put into the code one at a time, to see whether its tests notice: `make mutants`. One module a family."""
