"""The physics and the array formats, a topic a file; imports nothing else of the port."""
