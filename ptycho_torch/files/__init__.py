"""Files of training and inference: the trained model, TensorFlow's weights, losses, products."""
