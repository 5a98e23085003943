"""Judge the results of an inference with code that is independent of the code that made them."""
