"""Labels: which are doubtful, which picture to label next, and which pictures have none of them."""

from ._issues import find_label_issues
from ._open_set import OpenSetClassifier
from ._suggest import suggest

__all__ = ["OpenSetClassifier", "find_label_issues", "suggest"]
