"""The loss of the intensity."""

import numpy as np


def negloglik(y_true, y_pred):
    with np.errstate(divide="ignore", invalid="ignore"):
        return (y_pred - y_true * np.log(y_pred)).astype(np.float32)
