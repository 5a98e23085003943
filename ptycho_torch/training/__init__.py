"""Training: the loop, Keras's rules, losses, the order of batches."""
