"""Judge arrays: compare, tolerate, prove, diagnose. NumPy only; imports ``spec``."""
