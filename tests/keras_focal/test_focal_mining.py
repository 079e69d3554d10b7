import keras
import numpy as np
import pytest
from gradients import numpy64, value_and_grad

import keras_focal as kf

Mining = kf.OnlineHardExampleMining


def chosen(mask):
    return [sorted(np.flatnonzero(row).tolist()) for row in numpy64(mask)]


def select(mining, losses, positives=(), valid=None, boxes=None):
    losses = np.atleast_2d(np.asarray(losses, "float32"))
    is_positive = np.zeros(losses.shape, bool)
    is_positive[:, list(positives)] = True
    valid = np.ones(losses.shape, bool) if valid is None else np.atleast_2d(valid)
    return mining.select(losses, is_positive, valid, boxes)


def test_hardest_by_loss_in_each_picture():
    losses = [[5, 1, 4, 2, 3], [1, 2, 3, 4, 5]]
    assert chosen(select(Mining(hardest=2), losses)) == [[0, 2], [3, 4]]


def test_ignored_anchors_are_never_chosen():
    valid = np.array([False, True, True, False, True])
    assert chosen(select(Mining(hardest=2), [5, 1, 4, 9, 3], valid=valid)) == [[2, 4]]


@pytest.mark.parametrize("nms", [None, 0.5])
@pytest.mark.parametrize("ratio", [None, 3])
def test_fewer_candidates_than_places(nms, ratio):
    mining = Mining(hardest=100, negatives_per_positive=ratio, nms_iou=nms)
    boxes = np.array([[[10 * i, 0, 10 * i + 8, 8] for i in range(5)]], "float32")
    valid = np.array([True, True, True, False, True])
    found = chosen(select(mining, [5, 1, 4, 9, 3], positives=[0, 1], valid=valid, boxes=boxes))
    assert found == [[0, 1, 2, 4]]
    nothing = select(mining, [5, 1, 4, 9, 3], valid=np.zeros(5, bool), boxes=boxes)
    assert chosen(nothing) == [[]]


def test_suppression_spreads_the_choice():
    # 0 and 1 overlap at 0.8, 0 and 2 at 1/3, 3 stands alone
    boxes = np.array([[[0, 0, 10, 10], [0, 0, 10, 8], [5, 0, 15, 10], [50, 50, 60, 60]]], "float32")
    losses = [4, 3, 2, 1]
    assert chosen(select(Mining(hardest=2), losses, boxes=boxes)) == [[0, 1]]
    assert chosen(select(Mining(hardest=2, nms_iou=0.5), losses, boxes=boxes)) == [[0, 2]]
    assert chosen(select(Mining(hardest=3, nms_iou=0.3), losses, boxes=boxes)) == [[0, 3]]
    assert chosen(select(Mining(hardest=9, nms_iou=0.5), losses, boxes=boxes)) == [[0, 2, 3]]


def reference_greedy(losses, boxes, hardest, threshold):
    """Plain loop over one picture."""
    picked = []
    for i in np.argsort(-losses):
        x1, y1, x2, y2 = boxes[i]
        for j in picked:
            a1, b1, a2, b2 = boxes[j]
            common = max(0, min(x2, a2) - max(x1, a1)) * max(0, min(y2, b2) - max(y1, b1))
            union = (x2 - x1) * (y2 - y1) + (a2 - a1) * (b2 - b1) - common
            if common > threshold * union:
                break
        else:
            picked.append(i)
        if len(picked) == hardest:
            break
    return sorted(int(i) for i in picked)


def test_suppression_against_a_plain_loop():
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 60, (3, 200, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(8, 40, (3, 200, 2))], -1)
    boxes = boxes.astype("float32")
    losses = rng.random((3, 200)).astype("float32")
    found = chosen(select(Mining(hardest=20, nms_iou=0.4), losses, boxes=boxes))
    assert found == [reference_greedy(losses[b], boxes[b], 20, 0.4) for b in range(3)]


def test_fixed_ratio():
    losses = np.arange(20, 0, -1)
    mining = Mining(hardest=8, negatives_per_positive=3)
    # two of the three positives fit into a quarter of 8, and six negatives go with them
    assert chosen(select(mining, losses, [17, 18, 19])) == [[0, 1, 2, 3, 4, 5, 17, 18]]
    # one positive: three negatives
    assert chosen(select(mining, losses, [19])) == [[0, 1, 2, 19]]
    # none: as for one
    assert chosen(select(mining, losses)) == [[0, 1, 2]]
    # where positives are the hardest they still take a quarter only
    assert chosen(select(mining, losses, range(10))) == [[0, 1, 10, 11, 12, 13, 14, 15]]


def test_fixed_ratio_after_suppression():
    boxes = np.array(
        [[[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10], [20, 0, 30, 9], [40, 0, 50, 10]]],
        "float32",
    )
    mining = Mining(hardest=8, negatives_per_positive=3, nms_iou=0.5)
    # the positive 0 suppresses its neighbour 1, the negative 3 the weaker 2
    assert chosen(select(mining, [1, 9, 3, 4, 2], [0], boxes=boxes)) == [[0, 3, 4]]


def test_a_loss_that_is_not_a_number_surfaces():
    assert chosen(select(Mining(hardest=1), [1, np.nan, 3])) == [[1]]


def test_many_anchors_stay_within_memory():
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 500, (1, 100_000, 2)).astype("float32")
    boxes = np.concatenate([corner, corner + 30], -1)
    mask = select(Mining(hardest=16, nms_iou=0.5), rng.random((1, 100_000)), boxes=boxes)
    assert numpy64(mask).sum() == 16


def test_used_alone_it_keeps_the_selected_losses_only():
    z = np.array([[2.0, -1.0, 0.5, -3.0]], "float32")
    y = np.array([[0, 0, 1, 0]])
    each = np.logaddexp(0, np.where(y == 1, -z, z))
    loss, slope = value_and_grad(lambda x: Mining(hardest=2, reduction="none")(y, x), z)
    np.testing.assert_allclose(loss, [[each[0, 0], 0, each[0, 2], 0]], rtol=1e-6)
    assert (slope[0, [1, 3]] == 0).all()
    assert (slope[0, [0, 2]] != 0).all()
    mean = float(Mining(hardest=2)(y, z))  # over the two that were kept
    assert mean == pytest.approx((each[0, 0] + each[0, 2]) / 2, rel=1e-6)


def test_anchors_with_classes_are_chosen_by_their_sum():
    z = np.array([[[2.0, -9.0], [1.5, 1.5], [-9.0, -9.0]]], "float32")
    y = np.zeros((1, 3, 2))
    inner = kf.FocalLoss(from_logits=True, alpha=None, gamma=0)
    loss = numpy64(Mining(inner, hardest=1, reduction="none")(y, z))
    assert (loss[0, [0, 2]] == 0).all()
    np.testing.assert_allclose(loss[0, 1], np.logaddexp(0, [1.5, 1.5]), rtol=1e-6)


def test_the_inner_loss_may_weigh_classes_one_by_one():
    z = np.random.default_rng(0).normal(size=(1, 4, 2)).astype("float32")
    y = np.array([[[1, 0], [0, 0], [0, 1], [0, 0]]])
    inner = kf.FocalLoss(alpha=[0.2, 0.9], from_logits=True, reduction="none")
    each = numpy64(inner(y, z))
    mining = Mining(inner, hardest=1, reduction="none")
    np.testing.assert_allclose(numpy64(mining.elements(y, z)), each, rtol=1e-6)
    hardest = each[0].sum(-1).argmax()
    expected = np.where(np.arange(4)[:, None] == hardest, each[0], 0)
    np.testing.assert_allclose(numpy64(mining(y, z))[0], expected, rtol=1e-6)


def test_a_loss_over_the_classes_is_refused():
    mining = Mining(kf.CategoricalFocalLoss())
    with pytest.raises(ValueError, match="CategoricalFocalLoss.*one value per prediction"):
        mining(np.zeros((1, 4, 2)), np.full((1, 4, 2), 0.5, "float32"))


def test_a_loss_that_knows_no_logits_is_not_rebuilt_for_them():
    with pytest.raises(TypeError, match="from_logits.*MeanSquaredError"):
        Mining(keras.losses.MeanSquaredError(), from_logits=True)
    mining = Mining(keras.losses.MeanSquaredError(), hardest=1)
    assert mining.get_config()["from_logits"] is None
    assert Mining.from_config(mining.get_config()).hardest == 1


def test_inner_ignore_label_is_respected():
    z = np.array([[5.0, 1.0, 3.0]], "float32")
    y = np.array([[-1, 0, 0]])
    inner = kf.FocalLoss(from_logits=True, ignore_label=-1)
    loss = numpy64(Mining(inner, hardest=1, reduction="none")(y, z))
    assert np.flatnonzero(loss[0]).tolist() == [2]


def test_inner_loss_is_copied_and_may_be_rebuilt_for_logits():
    inner = keras.losses.BinaryCrossentropy()
    mining = Mining(inner, from_logits=True)
    assert inner.from_logits is False
    assert inner.reduction == "sum_over_batch_size"
    assert mining.loss.from_logits is True
    assert mining.from_logits is True


def test_wrong_rank_is_refused():
    with pytest.raises(ValueError, match=r"\(batch, anchors\)"):
        Mining()(np.zeros(3), np.zeros(3, "float32"))


@pytest.mark.parametrize("options", [{}, {"negatives_per_positive": 3}])
def test_it_trains_a_model(options):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(16, 20, 3)).astype("float32")
    y = (x.sum(-1) > 2).astype("float32")
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((20, 3)), keras.layers.Dense(1), keras.layers.Reshape((20,))]
    )
    model.compile(keras.optimizers.Adam(0.1), loss=Mining(hardest=6, **options))
    history = model.fit(x, y, epochs=8, verbose=0).history["loss"]
    assert history[-1] < 0.7 * history[0]
