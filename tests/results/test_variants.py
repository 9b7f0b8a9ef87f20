from results.variants import FREE_SETTINGS
from runs import settings


def test_what_may_differ_between_a_run_and_its_resumption_may_differ_between_seeds() -> None:
    resumption = settings._FREE_SETTINGS
    assert resumption and resumption <= FREE_SETTINGS
