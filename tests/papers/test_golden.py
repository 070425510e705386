"""Golden rows are found again: to the bit on the machine that wrote them, elsewhere as each column declares."""

from __future__ import annotations

import golden
import pandas as pd
import pytest
import replays

from neurec_core import papers

EXPERIMENTS = papers.experiments()


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=EXPERIMENTS)
def test_golden_rows_are_found_again(experiment):
    there, wanted = golden.read(experiment)
    found = golden.rows(experiment)
    assert list(found) == list(wanted)
    assert found[["point", "trial"]].equals(wanted[["point", "trial"]])
    if golden.machine() == there:
        pd.testing.assert_frame_equal(found, wanted, check_exact=True, check_dtype=False)
    else:
        assert not replays.refusals(experiment, wanted, wanted, found)


def test_no_golden_rows_are_left_over():
    assert {file.stem for file in golden.FOLDER.iterdir()} == set(EXPERIMENTS)
