"""On a processor, sums of gradients have one order."""

import os
import sys
from pathlib import Path

from tests import children

ROOT = Path(__file__).resolve().parents[3]

# As many numbers as make Grappler save memory: 64 MB a tensor.
CHILD = """
import tensorflow as tf
from tensorflow.python.eager import context
from yolo.training.precision import make_repeatable

def sums_by_arrival():
    total = tf.function(lambda x: tf.add_n([tf.sin(x), tf.cos(x), tf.exp(x), tf.square(x)]))
    context.context().enable_run_metadata()
    total(tf.ones((16, 1024, 1024)))
    graphs = context.context().export_run_metadata().function_graphs
    context.context().disable_run_metadata()
    return sum(n.op == "TemporaryVariable" for g in graphs for n in g.post_optimization_graph.node)

before = sums_by_arrival()
make_repeatable(0)
after = sums_by_arrival()
tf.config.optimizer.set_experimental_options({"constant_folding": True})
print("sums by arrival:", before, after, sums_by_arrival())
"""


def test_sums_are_not_taken_by_arrival():
    child = [sys.executable, "-c", CHILD]
    done = children.run(child, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    # Should TensorFlow leave them alone by itself one day, the module can go.
    assert "sums by arrival: 1 0 0" in done.stdout, done.stdout + done.stderr
