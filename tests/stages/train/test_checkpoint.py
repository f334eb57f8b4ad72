"""Checkpoints: the whole state comes back."""

import pytest
import torch

from bedside.core.study import TrainConfig
from bedside.stages.train.checkpoint import State, average, begin, load_checkpoint, save_checkpoint


def test_checkpoint_restores_the_whole_state(tmp_path):
    def fresh() -> State:
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4))
        return begin(net, TrainConfig(ema_decay=0.5), 10)

    def step(state: State) -> None:
        generator = torch.Generator().manual_seed(state.step)
        state.module(torch.rand(2, 1, 8, 8, generator=generator)).square().sum().backward()
        state.optimizer.step()
        state.optimizer.zero_grad()
        state.scheduler.step()
        state.step += 1
        average(state, 0.5)

    straight, resumed = fresh(), fresh()
    for _ in range(6):
        step(straight)
    for _ in range(3):
        step(resumed)
    save_checkpoint(tmp_path / "c", resumed)
    resumed = fresh()
    assert not load_checkpoint(tmp_path / "missing", resumed)
    assert load_checkpoint(tmp_path / "c", resumed)
    for _ in range(3):
        step(resumed)
    for kind in ("module", "ema"):
        a, b = (getattr(s, kind) for s in (straight, resumed))
        a, b = (x if isinstance(x, dict) else x.state_dict() for x in (a, b))
        assert all(torch.equal(a[k], b[k]) for k in a)


def test_average_follows_its_formula():
    net = torch.nn.Conv2d(1, 1, 1, bias=False)
    state = begin(net, TrainConfig(ema_decay=0.5), 10)
    first = float(net.weight.detach())
    with torch.no_grad():
        net.weight.fill_(1.0)
    state.step = 100
    average(state, 0.5)
    assert state.ema is not None
    assert float(state.ema["weight"]) == pytest.approx(0.5 * first + 0.5)
