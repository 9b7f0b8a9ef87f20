from experiments.results.report.page_size import PageSize


def test_room_is_granted_until_it_is_used_up() -> None:
    size = PageSize(100)
    assert [size.take(60, "one"), size.take(60, "two"), size.take(40, "three"), size.take(1, "four")] == [
        True,
        False,
        True,
        False,
    ]
    assert (size.used, size.left_out) == (100, ["two", "four"])
