"""Transfer: does a router that learned on some classes and prompts carry over to others?"""

import numpy as np

from skclipens import AdaptiveBackboneEnsemble

from ._experiments import sections, table
from ._systems import PAPER_NLC

PLAIN = "plain"  # the logit average without calibration
ROUTERS = {name: {"router": name} for name in ("uniform", "static", "shrunk")} | {"nlc": PAPER_NLC}
LABELS = {"uniform": "calibrated logit average", "nlc": "NLC (paper)"}
OTHER_TEMPLATES = ("an image of the {}.", "this is a {}.", "{}, a drawing.")
UNSEEN, OWN = "trained on others", "trained on these"
_NOTE = (
    "Zero-shot heads on every backbone; routers and temperatures are trained with {shots} images "
    "per class at most; the NLC reads logits without temperatures. *Unseen classes*: trained on a "
    "random half A of the classes, then given the names of the other half B and tested on images "
    "of B, beside the same router trained on images of B. *Other prompts*: all classes; trained "
    "with the set's prompts and then given {prompts}, beside the same router trained with these. "
    "The best single backbone is chosen by its accuracy on the test images, with hindsight. "
    "Accuracy in %, mean ± standard deviation over draws of the images and of the halves."
)


def run(dataset, backbones, draws, *, shots=16, other_templates=OTHER_TEMPLATES):
    """Return the accuracy of routers on classes and prompts that they were or were not trained on.

    Returns
    -------
    pandas.DataFrame
        Columns dataset, draw, shots, prompts, change ("unseen classes", "other prompts"),
        system, training, accuracy.
    """
    y = np.asarray(dataset.y)
    if len(np.unique(y)) < 4:
        raise ValueError(f"{dataset.name} has fewer than four classes: no two halves of two each.")
    X = draws.embed(dataset, backbones)

    def run_draw(draw, train, test):
        def trained(router, rows, templates=dataset.templates):
            return _fit(router, X[rows], y[rows], backbones, dataset.class_names, templates, draw)

        first, second = halves(y, draws.random_state + draw)
        on_first, on_second = (train[np.isin(y[train], half)] for half in (first, second))
        unseen = test[np.isin(y[test], second)]
        rows = [
            {"change": "unseen classes", **row}
            for row in _compare(
                lambda router: move(trained(router, on_first), second, dataset),
                lambda router: trained(router, on_second),
                X[unseen],
                y[unseen],
            )
        ]
        rows += [
            {"change": "other prompts", **row}
            for row in _compare(
                lambda router: move(trained(router, train), np.unique(y), dataset, other_templates),
                lambda router: trained(router, train, other_templates),
                X[test],
                y[test],
            )
        ]
        return rows

    frame = draws.run(run_draw, "transfer", dataset, backbones, shots, other_templates)
    prompts = ", ".join(f'"{template}"' for template in other_templates)
    return frame.assign(prompts=prompts)


def halves(y, random_state):
    """Return the classes in two random halves, the first larger by one if their number is odd."""
    classes = np.random.default_rng(random_state).permutation(np.unique(y))
    middle = (len(classes) + 1) // 2
    return np.sort(classes[:middle]), np.sort(classes[middle:])


def move(clf, classes, dataset, templates=None):
    """Return the ensemble on other classes and, if given, other prompts, without a new fit."""
    return clf.set_classes(classes, class_names=dataset.class_names, templates=templates)


def _fit(router, X, y, backbones, class_names, templates, draw):
    clf = AdaptiveBackboneEnsemble(
        backbones,
        head="zero-shot",
        **ROUTERS.get(router, {"router": "uniform", "calibrate": False}),
        class_names=class_names,
        templates=templates,
        random_state=draw,
    )
    return clf.fit(X, y)


def _compare(make_moved, make_own, X, y):
    """Yield accuracies of moved routers, of routers trained in place, and of untrained rules."""
    for router in ROUTERS:
        name = LABELS.get(router, router)
        moved, own = make_moved(router), make_own(router)
        for training, clf in ((UNSEEN, moved), (OWN, own)):
            yield {"system": name, "training": training, "accuracy": float(clf.score(X, y))}
    right = own.classes_[own.expert_proba(X).argmax(axis=2)] == y[:, None]
    untrained = {
        "logit average": make_own(PLAIN).score(X, y),
        "best single backbone": right.mean(axis=0).max(),
        "oracle": right.any(axis=1).mean(),
    }
    for name, accuracy in untrained.items():
        for training in (UNSEEN, OWN):
            yield {"system": name, "training": training, "accuracy": float(accuracy)}


def report(frame):
    """Return Markdown: accuracy of moved routers beside that of routers trained in place."""
    return sections(frame, "Transfer to unseen classes and prompts", _write)


def _write(rows):
    parts = [_NOTE.format(shots=rows["shots"].iloc[0], prompts=rows["prompts"].iloc[0])]
    for change, group in rows.groupby("change", sort=False):
        parts += [f"{change.capitalize()}:", table(group, "system", "training"), _gains(group)]
    return parts


def _gains(rows):
    """Return paired differences to the calibrated average of the same training."""
    moved = rows[rows["training"] == UNSEEN].pivot(
        index="draw", columns="system", values="accuracy"
    )
    lines = ["Moved router minus moved calibrated average, in points, paired over draws:", ""]
    for router in list(ROUTERS)[1:]:
        name = LABELS.get(router, router)
        gain = 100 * (moved[name] - moved[LABELS["uniform"]])
        spread = "" if len(gain) < 2 else f" ± {gain.std():.1f}"
        lines.append(f"- {name}: {gain.mean():+.1f}{spread}")
    return "\n".join(lines)
