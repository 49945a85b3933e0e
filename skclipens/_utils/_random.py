"""Seeds that are drawn from a random state."""

import numpy as np
from sklearn.utils import check_random_state


def draw_seed(random_state):
    """An int, for generators of others, or for what several estimators share."""
    return check_random_state(random_state).randint(np.iinfo(np.int32).max)
