import copy
import math
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dassl.config import get_cfg_default
from dassl.optim import build_lr_scheduler
from dassl.optim.lr_scheduler import ConstantWarmupScheduler, LinearWarmupScheduler, _WarmupScheduler
from dassl.utils import resume_from_checkpoint, save_checkpoint

SCHEDULES: dict[str, dict[str, Any]] = {
    "cosine": {"LR_SCHEDULER": "cosine"},
    "single_step": {},
    "single_step3": {"STEPSIZE": (3,)},
    "single_last": {"STEPSIZE": (2, 5)},
    "multi_step": {"LR_SCHEDULER": "multi_step", "STEPSIZE": (2, 5)},
}
WARMUPS: dict[str, dict[str, Any]] = {
    "none": {},
    "const1": {"WARMUP_EPOCH": 1, "WARMUP_TYPE": "constant"},
    "const2": {"WARMUP_EPOCH": 2, "WARMUP_TYPE": "constant", "WARMUP_CONS_LR": 1e-4},
    "lin3": {"WARMUP_EPOCH": 3},
    "const2_norecount": {"WARMUP_EPOCH": 2, "WARMUP_TYPE": "constant", "WARMUP_RECOUNT": False},
    "lin3_norecount": {"WARMUP_EPOCH": 3, "WARMUP_RECOUNT": False},
}


def optim_cfg(**changes: Any) -> Any:
    cfg = get_cfg_default().OPTIM
    cfg.LR, cfg.MAX_EPOCH = 0.002, 8
    for key, value in changes.items():
        cfg[key] = value
    return cfg


def make(lr: float = 0.002, **changes: Any) -> tuple[nn.Module, torch.optim.Optimizer, Any]:
    model = nn.Linear(2, 1)
    optimiser = torch.optim.SGD(model.parameters(), lr=lr)
    return model, optimiser, build_lr_scheduler(optimiser, optim_cfg(**changes))


def run(optimiser: torch.optim.Optimizer, schedule: Any, epochs: int) -> list[float]:
    rates = []
    for _ in range(epochs):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return rates


@pytest.mark.parametrize("warmup", WARMUPS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_rates(schedule: str, warmup: str, recorded: dict[str, Any]) -> None:
    changes = {**SCHEDULES[schedule], **WARMUPS[warmup]}
    _, optimiser, built = make(**changes)
    rates = run(optimiser, built, 10)
    assert rates == pytest.approx(by_hand(changes), rel=1e-6, abs=1e-9)
    record = recorded["items"].get(f"sched/{schedule}_warmup_{warmup}")
    if record is not None:
        assert [round(rate, 10) for rate in rates] == record


def by_hand(changes: dict[str, Any], length: int = 10) -> list[float]:
    """The rates of the first epochs from the definitions, without state."""
    cfg = optim_cfg(**changes)
    warmup, base = max(cfg.WARMUP_EPOCH, 0), cfg.LR

    def main(epoch: int) -> Any:
        if cfg.LR_SCHEDULER == "cosine":
            return base * (1 + math.cos(math.pi * epoch / cfg.MAX_EPOCH)) / 2
        if cfg.LR_SCHEDULER == "multi_step":
            return base * cfg.GAMMA ** sum(epoch >= milestone for milestone in cfg.STEPSIZE)
        step = cfg.STEPSIZE[-1] if cfg.STEPSIZE[-1] > 0 else cfg.MAX_EPOCH
        return base * cfg.GAMMA ** (epoch // step)

    skipped = 0 if cfg.WARMUP_RECOUNT else warmup
    # Without a recount the schedule is entered late but still at the full rate, so it is scaled up.
    scale = base / main(skipped) if skipped else 1.0
    start = cfg.WARMUP_CONS_LR if cfg.WARMUP_TYPE == "constant" else cfg.WARMUP_MIN_LR

    def rate(epoch: int) -> Any:
        if epoch >= warmup:
            return scale * main(epoch - warmup + skipped)
        return start if cfg.WARMUP_TYPE == "constant" or epoch == 0 else base * epoch / warmup

    rates = [rate(epoch) for epoch in range(length)]
    if cfg.LR_SCHEDULER == "cosine" and skipped:
        # Past its end torch's recursive cosine climbs from zero on its own, unscaled.
        rates = [r if epoch <= cfg.MAX_EPOCH else main(epoch) for epoch, r in enumerate(rates)]
    return rates


def test_documented_example() -> None:
    _, optimiser, schedule = make(LR_SCHEDULER="cosine", WARMUP_EPOCH=1, WARMUP_TYPE="constant", MAX_EPOCH=6)
    assert run(optimiser, schedule, 6) == pytest.approx([1e-5, 0.002, 0.001866, 0.0015, 0.001, 0.0005], rel=1e-3)


@settings(max_examples=60, deadline=None)
@given(
    schedule=st.sampled_from(sorted(SCHEDULES)),
    warmup=st.sampled_from(sorted(WARMUPS)),
    cut=st.integers(0, 9),
)
def test_resuming_anywhere_changes_nothing(schedule: str, warmup: str, cut: int) -> None:
    changes = {**SCHEDULES[schedule], **WARMUPS[warmup]}
    _, optimiser, built = make(**changes)
    whole = run(optimiser, built, 10)
    _, optimiser, built = make(**changes)
    first = run(optimiser, built, cut)
    states = copy.deepcopy((optimiser.state_dict(), built.state_dict()))
    _, optimiser, built = make(**changes)
    optimiser.load_state_dict(states[0])
    built.load_state_dict(states[1])
    assert first + run(optimiser, built, 10 - cut) == pytest.approx(whole)


@given(
    name=st.sampled_from(["cosine", "single_step", "multi_step"]),
    lr=st.floats(1e-6, 10.0),
    gamma=st.floats(0.01, 1.0),
    epochs=st.integers(1, 20),
    steps=st.lists(st.integers(1, 15), min_size=1, max_size=3, unique=True).map(sorted),
    warmup=st.integers(-1, 4),
    kind=st.sampled_from(["constant", "linear"]),
)
def test_rates_are_the_closed_form(
    name: str, lr: float, gamma: float, epochs: int, steps: list[int], warmup: int, kind: str
) -> None:
    changes: dict[str, Any] = {"LR_SCHEDULER": name, "GAMMA": gamma, "MAX_EPOCH": epochs, "STEPSIZE": steps}
    changes |= {"WARMUP_EPOCH": warmup, "WARMUP_TYPE": kind, "WARMUP_MIN_LR": lr / 100, "WARMUP_CONS_LR": lr / 50}
    _, optimiser, schedule = make(lr, **changes)
    length = epochs + max(warmup, 0)  # beyond its last epoch torch's cosine depends on how it got there
    rates = run(optimiser, schedule, length)
    assert rates == pytest.approx(by_hand({"LR": lr, **changes}, length), rel=1e-6, abs=1e-9 * lr)


@settings(max_examples=40, deadline=None)
@given(warmup=st.integers(1, 6), epochs=st.integers(1, 12), kind=st.sampled_from(["constant", "linear"]))
def test_warmup_never_exceeds_the_full_rate(warmup: int, epochs: int, kind: str) -> None:
    _, optimiser, schedule = make(LR_SCHEDULER="cosine", MAX_EPOCH=epochs, WARMUP_EPOCH=warmup, WARMUP_TYPE=kind)
    rates = run(optimiser, schedule, warmup + epochs)
    assert all(0 <= rate <= 0.002 + 1e-12 for rate in rates)
    assert rates[warmup] == pytest.approx(0.002)
    assert rates[:warmup] == sorted(rates[:warmup])


def test_state_is_plain() -> None:
    _, _, schedule = make(LR_SCHEDULER="cosine", WARMUP_EPOCH=1)
    text = pickle.dumps(schedule.state_dict())
    assert b"torch" not in text
    assert b"dassl" not in text


def test_checkpoint_of_a_warmup_run_resumes(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"LR_SCHEDULER": "cosine", "WARMUP_EPOCH": 1, "WARMUP_TYPE": "constant"}
    _, optimiser, schedule = make(**changes)
    whole = run(optimiser, schedule, 8)
    model, optimiser, schedule = make(**changes)
    run(optimiser, schedule, 3)
    state = {"state_dict": model.state_dict(), "epoch": 3, "optimizer": optimiser.state_dict()}
    save_checkpoint({**state, "scheduler": schedule.state_dict()}, str(tmp_path))
    model, optimiser, schedule = make(**changes)
    assert resume_from_checkpoint(str(tmp_path), model, optimiser, schedule) == 3
    assert run(optimiser, schedule, 5) == pytest.approx(whole[3:])


@settings(max_examples=25)
@given(
    cut=st.integers(0, 7),
    schedule=st.sampled_from(sorted(SCHEDULES)),
    warmup=st.sampled_from(sorted(set(WARMUPS) - {"none"})),
)
def test_checkpoint_with_schedule_objects_resumes_into_the_live_schedule(
    tmp_path_factory: pytest.TempPathFactory, cut: int, schedule: str, warmup: str
) -> None:
    """Other Dassl versions keep the wrapped schedule, and through it the optimiser, as an object."""
    changes: dict[str, Any] = {**SCHEDULES[schedule], **WARMUPS[warmup]}
    tmp_path = tmp_path_factory.mktemp("checkpoint")
    _, optimiser, built = make(**changes)
    whole = run(optimiser, built, 8)
    model, optimiser, built = make(**changes)
    run(optimiser, built, cut)
    plain = {key: value for key, value in vars(built).items() if key not in ("optimizer", "successor")}
    state = {"state_dict": model.state_dict(), "epoch": cut, "optimizer": optimiser.state_dict(), "val_result": None}
    save_checkpoint({**state, "scheduler": {**plain, "whatever": built.successor}}, str(tmp_path))
    model, optimiser, built = make(**changes)
    live = built.successor
    resume_from_checkpoint(str(tmp_path), model, optimiser, built)
    assert run(optimiser, built, 8 - cut) == pytest.approx(whole[cut:])
    assert built.successor is live
    assert live.optimizer is optimiser


def test_state_with_an_object_loads_without_a_file_too() -> None:
    changes: dict[str, Any] = {"LR_SCHEDULER": "cosine", "WARMUP_EPOCH": 1}
    _, optimiser, schedule = make(**changes)
    run(optimiser, schedule, 3)
    state = {**schedule.state_dict(), "successor": schedule.successor}
    _, again, restored = make(**changes)
    restored.load_state_dict(state)
    assert restored.successor.last_epoch == 2
    assert restored.successor.optimizer is again


def test_state_without_a_warmup_is_refused() -> None:
    _, _, plain = make(LR_SCHEDULER="cosine")
    _, _, schedule = make(LR_SCHEDULER="cosine", WARMUP_EPOCH=1)
    with pytest.raises(ValueError, match="has no warm-up"):
        schedule.load_state_dict(plain.state_dict())


def test_constructors_take_verbose_as_old_callers_pass_it() -> None:
    for kind in (ConstantWarmupScheduler, LinearWarmupScheduler):
        _, optimiser, main = make()
        assert kind(optimiser, main, 2, 1e-5, -1, False).get_last_lr() == [1e-5]


def test_base_class_has_no_rates() -> None:
    _, optimiser, main = make()
    with pytest.raises(NotImplementedError):
        _WarmupScheduler(optimiser, main, 2)


def test_warmup_of_several_groups() -> None:
    layers = [nn.Linear(1, 1), nn.Linear(1, 1)]
    groups = [{"params": layer.parameters(), "lr": lr} for layer, lr in zip(layers, (0.1, 0.4), strict=True)]
    optimiser = torch.optim.SGD(groups, lr=1.0)
    schedule = build_lr_scheduler(optimiser, optim_cfg(LR_SCHEDULER="cosine", WARMUP_EPOCH=2))
    seen = []
    for _ in range(3):
        seen.append([group["lr"] for group in optimiser.param_groups])
        optimiser.step()
        schedule.step()
    assert seen == [[1e-5, 1e-5], [0.05, 0.2], [0.1, 0.4]]


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"LR_SCHEDULER": "nope"}, ValueError, "LR_SCHEDULER must be one of .* but got nope"),
        (
            {"LR_SCHEDULER": "multi_step", "STEPSIZE": 3},
            TypeError,
            "must be a list of epochs for multi_step, but got 3",
        ),
        ({"STEPSIZE": "3"}, TypeError, "must be an int, or end with one, for single_step, but got '3'"),
        ({"STEPSIZE": (2.5,)}, TypeError, "must be an int"),
        ({"STEPSIZE": ()}, TypeError, "must be an int"),
        ({"WARMUP_EPOCH": 1, "WARMUP_TYPE": "nope"}, ValueError, "WARMUP_TYPE must be one of .* but got nope"),
    ],
)
def test_errors(changes: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make(**changes)


def test_step_size_may_be_a_number() -> None:
    _, optimiser, schedule = make(STEPSIZE=2)
    assert run(optimiser, schedule, 3) == pytest.approx([0.002, 0.002, 0.0002])
