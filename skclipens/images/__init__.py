"""Images: conversion to RGB, views, lists of image files, and decoding in batches.

This subpackage does not depend on models.
"""

from ._collections import as_image_list
from ._load import load_image
from ._views import View

__all__ = ["View", "as_image_list", "load_image"]
