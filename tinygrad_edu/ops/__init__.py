"""The ops, a family a file, and the functions that users call. Read first: elementwise.py, the pattern of all."""
