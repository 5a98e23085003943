"""Golden artefacts: TensorFlow freezes what is true, and a port is held to it without TensorFlow."""
