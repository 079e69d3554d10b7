"""What the class number of a label in a batch says: an object to learn, or one of three others.

| number | meaning |
|---|---|
| 0 and above | an object of that class |
| -1, `PADDING` | nothing |
| -2, `DIFFICULT` | an object that counts neither way: what lies on it, by IoU, is no background |
| -3, `CROWD` | a region of many: what lies in it, by the share of its own area, is no background |
"""

from __future__ import annotations

PADDING, DIFFICULT, CROWD = -1, -2, -3
LOWEST = CROWD
CROWD_SHARE = 0.5  # of a box's area; where more of it lies in a crowd, it is no background
