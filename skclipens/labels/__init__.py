"""Labels: find doubtful ones, suggest pictures to label next, and reject unknown classes."""

from ._issues import find_label_issues
from ._open_set import OpenSetClassifier
from ._suggest import suggest

__all__ = ["OpenSetClassifier", "find_label_issues", "suggest"]
