"""Judge what an inference left, with code that shares nothing with what made it."""
