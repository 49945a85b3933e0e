"""Find wrong labels and near-duplicates, suggest pictures to label, and reject unknown classes."""

from ._issues import find_label_issues
from ._near_duplicates import group_near_duplicates
from ._open_set import OpenSetClassifier
from ._suggest import suggest

__all__ = ["OpenSetClassifier", "find_label_issues", "group_near_duplicates", "suggest"]
