"""The physics and the array formats, one topic per file. Nothing here imports other parts of the port."""
