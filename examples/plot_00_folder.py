"""
=============================
Classify a folder of pictures
=============================

From one folder of pictures per class to a classifier, its accuracy on new
pictures, and a saved model. The name of a folder is the name of its class.
"""

# %%
# A folder with four pictures of each class, as you might have it. All other
# pictures are the test set.

import shutil
from pathlib import Path
from tempfile import mkdtemp

from skclipens.datasets import load_emoji, load_folder
from skclipens.model_selection import FewShotSplit

paths, labels = load_emoji(min_class_size=30, return_X_y=True)
splitter = FewShotSplit(n_shots=4, random_state=0)
train, test = next(splitter.split(paths, labels))

photos = Path(mkdtemp()) / "photos"
for path, label in zip(paths[train], labels[train]):
    folder = photos / label.replace(" ", "_")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, folder)
print(*sorted(folder.name for folder in photos.iterdir()), sep="\n")

# %%
# Read the folder, and fit. The models are those of the zoo, which come
# with the package.

from skclipens import make_backbone_pipeline

X, y = load_folder(photos, return_X_y=True)
clf = make_backbone_pipeline("zoo", random_state=0)
clf.fit(X, y)

new, truth = paths[test], labels[test]
predicted = clf.predict(new)
accuracy = (predicted == truth).mean()
print(f"accuracy on {len(new)} new pictures: {accuracy:.0%}")

# %%
# Save the model, and load it. The file holds the names of the models, not their
# weights.

import joblib

model = photos.parent / "model.joblib"
joblib.dump(clf, model)
loaded = joblib.load(model)
print((loaded.predict(new[:100]) == predicted[:100]).all())

# %%
# Some of the new pictures, with their predicted class. Mistakes are red.

import matplotlib.pyplot as plt
import numpy as np

from skclipens.images import load_image

some = np.random.default_rng(3).choice(len(new), 15, replace=False)
figure, axes = plt.subplots(3, 5, figsize=(10, 7), layout="constrained")
for i, ax in zip(some, axes.flat):
    ax.imshow(load_image(new[i]))
    wrong = predicted[i] != truth[i]
    title = predicted[i] + (f"\n(is: {truth[i]})" if wrong else "")
    ax.set_title(title, fontsize=8, color="#d55e00" if wrong else "black")
    ax.set_axis_off()
plt.show()
