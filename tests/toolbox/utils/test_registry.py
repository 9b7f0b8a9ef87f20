import pytest

from dassl.utils import Registry, check_availability, get_most_similar_str_to_a_from_b


def test_both_ways_of_registering() -> None:
    registry = Registry("THING")

    @registry.register()
    class A:
        pass

    class B:
        pass

    assert isinstance(A, type)
    assert registry.register(B) is None
    assert registry.get("A") is A
    assert registry.registered_names() == ["A", "B"]


def test_taken_and_unknown_names() -> None:
    registry = Registry("THING")

    def make(value: int) -> type:
        return type("A", (), {"value": value})

    registry.register(make(1))
    with pytest.raises(KeyError, match="A is already in the THING registry"):
        registry.register(make(2))
    registry.register(make(3), force=True)
    assert registry.get("A").value == 3
    with pytest.raises(KeyError, match=r"Z is not in the THING registry, which holds \['A'\]"):
        registry.get("Z")


def test_availability() -> None:
    check_availability("CoOp", ["CoOp"])
    with pytest.raises(
        ValueError, match=r"belong to \['CoOp', 'KgCoOp'\], but got \[CoOpp\] \(do you mean \[CoOp\]\?\)"
    ):
        check_availability("CoOpp", ["CoOp", "KgCoOp"])
    with pytest.raises(ValueError, match=r"belong to \[\], but got \[x\]$"):
        check_availability("x", [])


def test_most_similar() -> None:
    assert get_most_similar_str_to_a_from_b("resnet5", ["vit", "resnet50", "mlp"]) == "resnet50"
    assert get_most_similar_str_to_a_from_b("a", []) is None
