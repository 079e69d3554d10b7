"""The hardest anchors of each picture, with and without non-maximum suppression."""

from keras import ops

from keras_focal._types import Tensor


def hardest_by_loss(
    scores: Tensor, most: int, quota: Tensor, chosen: Tensor | None = None
) -> Tensor:
    """Mark the highest scores (batch, anchors) of each row with 1, the others with 0.

    A row gets as many marks as its `quota` (batch,) says, at most `most`; -inf is never marked.
    Marks that were `chosen` earlier do not count here.
    """
    batch, anchors = ops.shape(scores)
    most = min(most, anchors) if isinstance(anchors, int) else ops.minimum(most, anchors)
    values, columns = ops.top_k(scores, most)  # (batch, most)
    rank = ops.arange(most, dtype="float32")
    marks = ops.logical_and(values > -float("inf"), rank < ops.expand_dims(quota, -1))
    columns = ops.cast(columns, "int32")
    rows = ops.expand_dims(ops.arange(batch, dtype="int32"), -1) + ops.zeros_like(columns)
    places = ops.reshape(ops.stack([rows, columns], axis=-1), (-1, 2))
    return ops.scatter(places, ops.reshape(ops.cast(marks, "float32"), (-1,)), (batch, anchors))


def greedy(
    scores: Tensor,
    most: int,
    quota: Tensor,
    chosen: Tensor | None = None,
    *,
    boxes_xyxy: Tensor,
    iou_threshold: float,
) -> Tensor:
    """Mark the highest scores of each row, as `hardest_by_loss`, that do not overlap one another.

    One pick per picture and round, `most` rounds; what lies in memory is proportional to the
    number of anchors, never to its square.

    Args:
        scores: (batch, anchors) float32.
        most: the number of rounds.
        quota: (batch,) float32.
        chosen: None, or (batch, anchors) marks of an earlier call, which suppress here too and
            are not returned.
        boxes_xyxy: (batch, anchors, 4) float32.
        iou_threshold: an anchor is passed over if it overlaps a marked one by more than this.
    """
    x1, y1, x2, y2 = (boxes_xyxy[..., i] for i in range(4))  # (batch, anchors) each
    area = ops.maximum(x2 - x1, 0.0) * ops.maximum(y2 - y1, 0.0)
    lowest = ops.full_like(scores, -float("inf"))
    index = ops.zeros_like(scores, dtype="int32") + ops.arange(ops.shape(scores)[1], dtype="int32")

    def at(values: Tensor, place: Tensor) -> Tensor:
        return ops.take_along_axis(values, place, axis=1)  # (batch, 1)

    def near(place: Tensor) -> Tensor:
        """Tell which anchors overlap the one at `place` (batch, 1)."""
        width = ops.minimum(x2, at(x2, place)) - ops.maximum(x1, at(x1, place))
        height = ops.minimum(y2, at(y2, place)) - ops.maximum(y1, at(y1, place))
        common = ops.maximum(width, 0.0) * ops.maximum(height, 0.0)
        return common > iou_threshold * (area + at(area, place) - common)

    def step(round_: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        remaining, marks = state
        place = ops.cast(ops.argmax(remaining, axis=1, keepdims=True), "int32")
        open_ = ops.cast(round_, "float32") < ops.expand_dims(quota, -1)  # (batch, 1)
        found = ops.logical_and(at(remaining, place) > -float("inf"), open_)
        this = ops.logical_and(index == place, found)
        gone = ops.logical_and(ops.logical_or(near(place), this), found)
        return ops.where(gone, lowest, remaining), ops.where(this, ops.ones_like(marks), marks)

    def forget(round_: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Suppress the neighbours of one earlier mark per picture."""
        remaining, left = state
        place = ops.cast(ops.argmax(left, axis=1, keepdims=True), "int32")
        found = at(left, place) > 0
        left = ops.where(ops.logical_and(index == place, found), ops.zeros_like(left), left)
        return ops.where(ops.logical_and(near(place), found), lowest, remaining), left

    if chosen is not None:
        rounds = ops.cast(ops.max(ops.sum(chosen, axis=-1)), "int32")
        scores, _ = ops.fori_loop(0, rounds, forget, (scores, chosen))
    return ops.fori_loop(0, most, step, (scores, ops.zeros_like(scores)))[1]
