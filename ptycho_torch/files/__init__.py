"""What training and inference leave: the trained model, TensorFlow's weights, losses."""
