"""Makes ranking.json, which RankingMetricsTests reads: scikit-learn's areas for odd and even cases.

    pip install numpy==2.4.6 scikit-learn==1.9.1
    python make_ranking.py
"""
import json
import pathlib

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

random = np.random.default_rng(20160914)


def case(name, scores, labels):
    scores = np.asarray(scores, np.float32)
    labels = np.asarray(labels, np.uint8)
    tags = []
    for k in range(scores.shape[1]):
        if labels[:, k].min() == labels[:, k].max():
            tags.append(None)
            continue
        tags.append(
            [roc_auc_score(labels[:, k], scores[:, k]), average_precision_score(labels[:, k], scores[:, k])]
        )
    ranked = [tag for tag in tags if tag]
    means = np.mean(ranked, axis=0).tolist() if ranked else None
    if ranked and len(ranked) == len(tags):
        assert abs(means[0] - roc_auc_score(labels, scores, average="macro")) < 1e-12
    flat = {"scores": scores.ravel().tolist(), "labels": labels.ravel().tolist()}
    return {"name": name, "tags": tags, "means": means, **flat}


def labels(n, k, share):
    return random.random((n, k)) < share


cases = [
    case("random", random.normal(size=(120, 4)), labels(120, 4, 0.3)),
    case("many ties", random.integers(0, 5, (150, 3)) / 4, labels(150, 3, 0.4)),
    case("all tied", np.full((20, 2), 0.25), labels(20, 2, 0.5)),
    case("rare", random.normal(size=(200, 2)), np.eye(200, 2, dtype=np.uint8)),
    case("perfect and reversed", [[0.1, 0.9], [0.2, 0.8], [0.7, 0.3], [0.9, 0.1]], [[0, 0], [0, 0], [1, 1], [1, 1]]),
    case("two clips", [[0.5], [0.25]], [[1], [0]]),
    case("signed zeros and tiny", [[0.0], [-0.0], [1e-45], [-1e-45], [3e38], [-3e38]], [[1], [0], [1], [0], [0], [1]]),
    case("neighbouring floats", [[0.5], [np.nextafter(np.float32(0.5), 1)], [0.5]], [[1], [0], [0]]),
    case("one class", random.normal(size=(30, 3)), np.stack([np.zeros(30), np.ones(30), np.arange(30) % 2], 1)),
    case("nothing to rank", [[0.1, 0.2], [0.3, 0.4]], [[0, 1], [0, 1]]),
]
path = pathlib.Path(__file__).with_name("ranking.json")
path.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
