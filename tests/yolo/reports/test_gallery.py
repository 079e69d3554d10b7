"""Pictures from the worst to the best, beside what was marked in them."""

import numpy as np

from yolo.evaluation.matching import picture_results
from yolo.reports import gallery
from yolo.reports.gallery import CELL, sheet, side_by_side, worst_and_best

CLASSES = ("cat", "dog")
A, B = [0, 0, 20, 20], [30, 0, 50, 20]


def test_the_worst_and_the_best_are_taken_from_the_ends(labelled, detected, monkeypatch):
    samples = [labelled(name, (0, A, False), (1, B, False)) for name in ("right", "none", "half")]
    found = [detected((0, A, 0.9), (1, B, 0.9)), detected(), detected((0, A, 0.9))]
    monkeypatch.setattr(gallery, "WORST", 2)
    monkeypatch.setattr(gallery, "BEST", 1)
    bad, good = worst_and_best(picture_results(found, samples, CLASSES, score_threshold=0.25))
    assert [samples[r.index].image_id for r in bad] == ["none", "half"]
    assert [samples[r.index].image_id for r in good] == ["right"]


def test_pictures_without_mistakes_are_not_among_the_worst(labelled, detected):
    results = picture_results(
        [detected((0, A, 0.9))], [labelled("a", (0, A, False))], CLASSES, score_threshold=0.25
    )
    bad, good = worst_and_best(results)
    assert bad == [] and len(good) == 1


def test_pairs_show_mistakes_in_red_and_fit_one_sheet(labelled, detected):
    samples = [labelled("图 1", (0, A, False)), labelled("tall", (0, A, False), size=(80, 40))]
    found = [detected((1, B, 0.9)), detected((0, A, 0.9))]
    results = picture_results(found, samples, CLASSES, score_threshold=0.25)
    pairs = [side_by_side(r, samples[r.index], CLASSES) for r in results]
    red = [(pair == (220, 30, 30)).all(axis=-1) for pair in pairs]
    left, right = red[0][:, :CELL], red[0][:, CELL:]
    assert left.sum() > 100 and right.sum() > 100 and not red[1].any()
    whole = sheet(pairs)
    assert whole.shape[1] > 2 * CELL and whole.dtype == np.uint8
    assert sheet([]).shape[0] > 0
