"""Seeds drawn from a random state."""

import numpy as np
from sklearn.utils import check_random_state


def draw_seed(random_state):
    """Draw an int seed, for generators of other libraries or for several estimators."""
    return check_random_state(random_state).randint(np.iinfo(np.int32).max)
