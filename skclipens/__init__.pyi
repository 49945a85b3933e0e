"""Made by ``python -m tools.docs.stubs``."""

from skclipens import backbones as backbones
from skclipens import cascade as cascade
from skclipens import cli as cli
from skclipens import datasets as datasets
from skclipens import decomposition as decomposition
from skclipens import embedding as embedding
from skclipens import ensemble as ensemble
from skclipens import exceptions as exceptions
from skclipens import heads as heads
from skclipens import images as images
from skclipens import inspection as inspection
from skclipens import labels as labels
from skclipens import metrics as metrics
from skclipens import model_selection as model_selection
from skclipens import pipeline as pipeline
from skclipens import retrieval as retrieval
from skclipens import utils as utils
from skclipens import zoo as zoo

from skclipens.ensemble import AdaptiveBackboneEnsemble as AdaptiveBackboneEnsemble
from skclipens.exceptions import BackboneNotAvailableError as BackboneNotAvailableError
from skclipens.cascade import BackboneSelector as BackboneSelector
from skclipens.decomposition import BlockPCA as BlockPCA
from skclipens.heads import CLAPHead as CLAPHead
from skclipens.heads import CLIPAdapterHead as CLIPAdapterHead
from skclipens.embedding import CLIPEmbedder as CLIPEmbedder
from skclipens.cascade import CascadeClassifier as CascadeClassifier
from skclipens.cascade import CascadeEnsemble as CascadeEnsemble
from skclipens.heads import CrossModalHead as CrossModalHead
from skclipens.embedding import EmbeddingStore as EmbeddingStore
from skclipens.exceptions import EmbeddingStoreError as EmbeddingStoreError
from skclipens.heads import ForestHead as ForestHead
from skclipens.heads import GDAHead as GDAHead
from skclipens.exceptions import ImageError as ImageError
from skclipens.retrieval import ImageRetriever as ImageRetriever
from skclipens.heads import KernelHead as KernelHead
from skclipens.heads import LinearDiscriminantHead as LinearDiscriminantHead
from skclipens.heads import LinearProbeHead as LinearProbeHead
from skclipens.heads import LogisticDiscriminantHead as LogisticDiscriminantHead
from skclipens.embedding import MultiBackboneEmbedder as MultiBackboneEmbedder
from skclipens.heads import ResidualHead as ResidualHead
from skclipens.exceptions import SuspectedMistakeWarning as SuspectedMistakeWarning
from skclipens.heads import TipAdapterHead as TipAdapterHead
from skclipens.heads import ZeroShotHead as ZeroShotHead
from skclipens.backbones import list_backbones as list_backbones
from skclipens.pipeline import make_backbone_pipeline as make_backbone_pipeline
from skclipens.pipeline import make_table_pipeline as make_table_pipeline
from skclipens.utils import show_versions as show_versions

__version__: str
