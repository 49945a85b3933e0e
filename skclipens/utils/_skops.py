"""The types that skops has to trust to load estimators of this package."""

from .._mistakes._seen_columns import SeenColumns
from .._mistakes._seen_embeddings import SeenBlock
from .._mistakes._seen_rows import SeenRows
from .._utils._estimator import EstimatorMixin
from ..backbones._blocks import Block
from ..backbones._kinds import BlockKind
from ..cascade import BackboneSelector, CascadeClassifier
from ..decomposition import BlockPCA
from ..embedding import EmbeddingStore
from ..ensemble._experts import Expert
from ..ensemble._merging import MergedExperts
from ..ensemble._support import Support
from ..ensemble._unlabeled import UnlabeledCorrection
from ..ensemble.routers._gated import GateFeatures
from ..heads._forest import Trees
from ..heads._sums import Sums
from ..images import View
from ..labels import OpenSetClassifier
from ..model_selection import FewShotSplit
from ..pipeline import BackbonePipeline
from ..pipeline._submodels import Submodel
from ..retrieval import ImageRetriever

# The modules of these classes import all other modules that define estimators.
_ESTIMATORS = (
    *(BackbonePipeline, BackboneSelector, BlockPCA, CascadeClassifier),
    *(ImageRetriever, OpenSetClassifier),
)
_RECORDS = (
    *(Block, BlockKind, EmbeddingStore, Expert, FewShotSplit, GateFeatures, MergedExperts),
    *(SeenBlock, SeenColumns, SeenRows, Submodel, Sums, Support, Trees, UnlabeledCorrection, View),
)
_SYSTEMS = ("Posix", "Windows")
# The module of paths depends on the version of Python, and a model may be loaded by another one.
_OTHERS = (
    *(f"{module}.{kind}Path" for module in ("pathlib", "pathlib._local") for kind in _SYSTEMS),
    "scipy.sparse._csr.csr_array",
    # Of a pipeline for tables: types of columns, and transformers that are no public estimators.
    "numpy.dtype",
    *(f"skclipens.pipeline._table_columns.Number{kind}" for kind in ("Imputer", "Scaler")),
    "skclipens.pipeline._table_columns.WordEncoder",
)


def skops_trusted_types():
    """Return the types that ``skops.io.load`` has to trust to load estimators of this package.

    They are the package's estimators and their parts, its splitter, a sparse array, types of
    numbers and paths. None of them runs code of the file when it is loaded. Custom heads and
    routers are not among them, nor are estimators of other packages that skops does not trust by
    default:
    ``skops.io.get_untrusted_types`` lists the types that a file needs.

    Returns
    -------
    list of str
        Full names of the types, for ``trusted``.

    See Also
    --------
    skclipens.make_backbone_pipeline : Make a model that skops can save.

    Examples
    --------
    >>> import skops.io
    >>> from sklearn.datasets import load_iris
    >>> from skclipens import LinearDiscriminantHead
    >>> from skclipens.utils import skops_trusted_types
    >>> X, y = load_iris(return_X_y=True)
    >>> content = skops.io.dumps(LinearDiscriminantHead().fit(X, y))
    >>> skops.io.loads(content, trusted=skops_trusted_types()).predict(X[:2])
    array([0, 0])
    """
    found = [
        f"{one.__module__}.{one.__qualname__}" for one in (*_kinds_of(EstimatorMixin), *_RECORDS)
    ]
    return sorted({*found, *_OTHERS})


def _kinds_of(kind):
    """Yield the direct and indirect subclasses in this package."""
    for one in kind.__subclasses__():
        if one.__module__.startswith(f"{__name__.partition('.')[0]}."):
            yield one
            yield from _kinds_of(one)
