"""Where the rows of the table of faults go on a page."""

import pytest

from tests.faults.full.table import Row, put_into

PAGE = """words
| T2 SIGTERM * | 1 | 1 | | |
| T3 best over resumes | 20 | 20 | 85.04 | 71 |
| T13 many epochs (12) * | 1 | 1 | 4.60 | 22 |
more words
"""


def test_a_row_takes_the_place_of_the_older_one_of_its_fault():
    page = put_into(PAGE, Row("T13 many epochs (1,000)", 1, 1, 60.0, 3.4))
    assert page.splitlines()[3] == "| T13 many epochs (1,000) | 1 | 1 | 60.00 | 3 |"
    assert put_into(page, Row("T13 many epochs (12) *", 1, 1)).count("T13") == 1
    page = put_into(PAGE, Row("T2 SIGTERM", 20, 19, 1.5))
    assert page == PAGE.replace(
        "| T2 SIGTERM * | 1 | 1 | | |", "| T2 SIGTERM | 20 | 19 | 1.50 |  |"
    )


def test_a_new_row_follows_its_kin_and_needs_one():
    lines = put_into(PAGE, Row("T2 SIGINT", 20, 20)).splitlines()
    assert lines[1].startswith("| T2 SIGTERM") and lines[2] == "| T2 SIGINT | 20 | 20 |  |  |"
    assert len(lines) == len(PAGE.splitlines()) + 1
    with pytest.raises(LookupError, match="no row of T1 killed"):
        put_into(PAGE, Row("T1 killed", 50, 50))
