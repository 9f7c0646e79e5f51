"""Compare the pack with reference results: `make parity DIR=folder`. One module a family; see scenario.py."""
