"""What was taken for what, and how well each picture was done, counted by hand."""

from dataclasses import replace

import numpy as np

from yolo.evaluation.matching import confusion_matrix, match, picture_results

CLASSES = ("cat", "dog")
A, B, C = [0, 0, 20, 20], [30, 0, 50, 20], [0, 30, 20, 50]
NEAR_A = [2, 0, 22, 20]


def test_nothing_against_nothing(labelled, detected):
    empty = labelled("empty")
    assert match(detected(), empty).tolist() == []
    assert confusion_matrix([], [], CLASSES, score_threshold=0.25).tolist() == [[0] * 3] * 3
    (result,) = picture_results([detected()], [empty], CLASSES, score_threshold=0.25)
    assert result.f1 == 1.0 and result.hits == 0


def test_pairs_of_one_class_go_first_and_each_object_once(labelled, detected):
    sample = labelled("a", (0, A, False), (1, B, False))
    found = detected((1, A, 0.9), (0, NEAR_A, 0.3), (0, A, 0.2), (1, C, 0.8), (0, B, 0.7))
    # The exact cat wins its place although a dog lies there as exactly; B has no dog but a cat.
    assert match(found, sample).tolist() == [-1, -1, 0, -1, 1]


def test_a_confusion_matrix_by_hand(labelled, detected):
    samples = [
        labelled("a", (0, A, False), (1, B, False), (1, C, True)),
        labelled("b", (0, A, False)),
        labelled("c"),
    ]
    detections = [
        detected((0, A, 0.9), (0, B, 0.8), (1, C, 0.9)),  # a hit, a dog as cat, a difficult one
        detected((0, A, 0.2)),  # too unsure
        detected((1, C, 0.9)),  # background
    ]
    matrix = confusion_matrix(detections, samples, CLASSES, score_threshold=0.25)
    assert matrix.tolist() == [[1, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert confusion_matrix(detections, samples, CLASSES, score_threshold=0.1)[0].tolist() == [
        2, 0, 0,
    ]  # fmt: skip


def test_the_worst_picture_comes_first(labelled, detected):
    samples = [
        labelled("right", (0, A, False)),
        labelled("missed", (0, A, False)),
        labelled("two missed", (0, A, False), (1, B, False)),
        labelled("half", (0, A, False), (1, B, False)),
        labelled("difficult", (0, A, True)),
    ]
    found = [detected((0, A, 0.9)), detected(), detected((1, A, 0.9)),
             detected((0, A, 0.9), (1, C, 0.5)), detected((0, A, 0.9))]  # fmt: skip
    results = picture_results(found, samples, CLASSES, score_threshold=0.25)
    assert [samples[r.index].image_id for r in results] == [
        "two missed", "missed", "half", "right", "difficult",
    ]  # fmt: skip
    worst = results[0]
    assert worst.hits == 0 and worst.missed.tolist() == [0, 1] and worst.false.tolist() == [0]
    half = results[2]
    assert half.f1 == 2 / 4 and half.missed.tolist() == [1] and half.false.tolist() == [1]


def test_any_number_of_detections_on_what_is_ignored_count_neither_way(labelled, detected):
    sample = labelled("a", (0, A, False), (1, B, True), (1, [0, 30, 80, 60], True))
    sample = replace(sample, crowd=np.array([False, False, True]))
    inside = [[0, 30, 10, 40], [5, 35, 20, 55]]  # of the crowd, each a small part
    found = detected((0, A, 0.9), (1, B, 0.9), (1, B, 0.8), *((1, box, 0.7) for box in inside))
    assert match(found, sample).tolist() == [0, 1, 1, 2, 2]
    matrix = confusion_matrix([found], [sample], CLASSES, score_threshold=0.25)
    assert matrix.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    (result,) = picture_results([found], [sample], CLASSES, score_threshold=0.25)
    assert result.hits == 1 and not len(result.false) and not len(result.missed)
    outside = detected((0, A, 0.9), (1, [60, 0, 80, 20], 0.9))
    (result,) = picture_results([outside], [sample], CLASSES, score_threshold=0.25)
    assert result.false.tolist() == [1]
