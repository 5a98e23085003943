"""Define what a golden is made of: cases, operations, faults, random inputs. NumPy only; imports no other layer."""
