"""The loop: it learns, it resumes to the same bits, it leaves the caller's world alone."""

from __future__ import annotations

import signal

import pytest
import torch
from torch import nn

from coset.core.errors import ConfigError, DtypeError, StorageError
from coset.train import Callback, CheckpointMismatchError, TrainConfig, fit

from .training_run import Run

STEPS = 18  # 42 examples in batches of 8, 3 epochs


class CrashError(Exception):
    pass


class At(Callback):
    """Acts at one step."""

    def __init__(self, step, act):
        self.step, self.act = step, act

    def on_step(self, state):
        if state.step == self.step:
            self.act()


class Recorder(Callback):
    def __init__(self):
        self.seen = []

    def on_start(self, state):
        self.seen.append(("start", state.step))

    def on_step(self, state):
        self.seen.append(("step", state.step))

    def on_epoch(self, state):
        self.seen.append(("epoch", state.epoch))

    def on_checkpoint(self, state, path):
        self.seen.append(("checkpoint", state.step))


def crash():
    raise CrashError


def interrupt():
    signal.raise_signal(signal.SIGINT)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "last.pt"


def assert_same(run, other):
    assert run.digest() == other.digest()


@pytest.mark.parametrize("scheduler_every", ["step", "epoch"])
@pytest.mark.parametrize("every", [0, 1, 4])
@pytest.mark.parametrize("crash_at", [1, 5, 6, 7, 13, 17])
def test_run_that_crashes_and_resumes_gives_the_same_bits(path, crash_at, every, scheduler_every):
    fields = {"scheduler_every": scheduler_every, "num_checkpoint_steps": every}
    whole = Run(**fields)
    final = whole.fit()
    with pytest.raises(CrashError):
        Run(**fields).fit(path, [At(crash_at, crash)])
    resumed = Run(**fields)
    record = Recorder()
    assert resumed.fit(path, [record]) == final
    assert_same(resumed, whole)
    last = (crash_at - 1) // every * every if every else (crash_at - 1) // 6 * 6
    assert record.seen[0] == ("start", max(last, (crash_at - 1) // 6 * 6))


def test_bits_differ_where_they_should():
    """The comparison above can fail: another seed, no hook, a crash without a checkpoint."""
    whole, other, unhooked = Run(), Run(seed=4), Run()
    whole.fit()
    other.fit()
    unhooked.shrink.step = lambda: None
    unhooked.fit()
    assert len({whole.digest(), other.digest(), unhooked.digest()}) == 3


@pytest.mark.parametrize("at", [1, 6, 8, STEPS])
def test_ctrl_c_ends_the_step_and_leaves_a_checkpoint_to_resume_from(path, at):
    whole = Run(checkpoint_every=0)
    whole.fit()
    handler = signal.getsignal(signal.SIGINT)
    run = Run(checkpoint_every=0)
    with pytest.raises(KeyboardInterrupt):
        run.fit(path, [At(at, interrupt)])
    assert signal.getsignal(signal.SIGINT) is handler
    record, resumed = Recorder(), Run(checkpoint_every=0)
    resumed.fit(path, [record])
    assert record.seen[0] == ("start", at)
    assert_same(resumed, whole)


def test_second_ctrl_c_interrupts_at_once(path):
    record = Recorder()
    with pytest.raises(KeyboardInterrupt):
        Run().fit(path, [At(2, interrupt), At(2, interrupt), record])
    assert record.seen[-1] == ("step", 1)
    assert not path.exists()


def test_ctrl_c_in_an_evaluation_is_not_lost(path):
    run = Run()
    run.evaluate = lambda model: interrupt() or {}
    with pytest.raises(KeyboardInterrupt):
        run.fit(path)
    resumed = Run()
    record = Recorder()
    resumed.fit(path, [record])
    assert record.seen[0] == ("start", 6)


def test_finished_run_is_not_run_again_and_can_be_extended(path):
    first = Run()
    final = first.fit(path)
    again, record = Run(), Recorder()
    assert again.fit(path, [record]) == final
    assert record.seen == [("start", STEPS)]
    longer, whole = Run(num_epochs=5), Run(num_epochs=5)
    longer.fit(path)
    whole.fit()
    assert_same(longer, whole)


def test_resume_false_starts_over(path):
    whole = Run()
    whole.fit()
    Run(seed=9).fit(path)
    again = Run()
    again.fit(path, resume=False)
    assert_same(again, whole)
    assert path.exists()


@pytest.mark.parametrize(
    ("change", "named"),
    [({"batch_size": 7}, "batch_size"), ({"seed": 4}, "seed"), ({"clip_norm": 1.0}, "clip_norm")],
)
def test_resume_with_other_settings_is_refused(path, change, named):
    Run().fit(path)
    with pytest.raises(CheckpointMismatchError, match=rf"{named} is .* there and .* here"):
        Run(**change).fit(path)


def test_resume_with_another_learning_rate_is_refused(path):
    config = TrainConfig(1, 4)
    for rate, expected in ((0.1, None), (0.1, None), (0.2, CheckpointMismatchError)):
        model = nn.Linear(1, 1)
        arguments = (
            model,
            torch.optim.SGD(model.parameters(), lr=rate),
            lambda model, batch: model(batch[0]).square().mean(),
            (torch.ones(8, 1),),
            config,
        )
        if expected is None:
            fit(*arguments, checkpoint=path)
        else:
            with pytest.raises(expected, match=r"learning_rates is \[0.1\] there"):
                fit(*arguments, checkpoint=path)


def test_resume_with_fewer_or_more_objects_is_refused(path):
    run = Run()
    run.fit(path)
    with pytest.raises(CheckpointMismatchError, match="scheduler is stored but not given"):
        fit(run.model, run.optimizer, run.loss, run.dataset, run.config, checkpoint=path)


def test_caller_keeps_random_state_and_modes():
    run = Run()
    run.model[1].eval()
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    run.fit()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert run.model.training
    assert not run.model[1].training


def test_dropout_does_not_depend_on_what_the_caller_drew():
    one, two = Run(), Run()
    torch.manual_seed(1)
    one.fit()
    torch.manual_seed(2)
    two.fit()
    assert_same(one, two)


def test_callbacks_are_called_in_order(path):
    record = Recorder()
    Run(num_epochs=1, batch_size=21, num_checkpoint_steps=1).fit(path, [record])
    assert record.seen == [
        ("start", 0),
        ("step", 1),
        ("checkpoint", 1),
        ("step", 2),
        ("checkpoint", 2),
        ("epoch", 1),
        ("checkpoint", 2),
    ]


def test_callback_ends_a_run_for_good(path):
    class Stop(Callback):
        def on_epoch(self, state):
            return state.epoch == 2

    state = Run().fit(path, [Stop()])
    assert (state.epoch, state.stopped) == (2, True)
    assert Run().fit(path) == state


def test_metrics_are_the_mean_loss_and_what_evaluate_returned():
    model = nn.Linear(1, 1, bias=False)
    data = torch.tensor([[1.0], [2.0], [4.0]])
    with torch.no_grad():
        model.weight.fill_(1.0)
    state = fit(
        model,
        torch.optim.SGD(model.parameters(), lr=0.0),
        lambda model, batch: model(batch[0]).mean(),
        (data,),
        TrainConfig(1, batch_size=2),
        evaluate=lambda model: {"twice": model(data).sum() * 2},
    )
    assert state.metrics["train_loss"] == pytest.approx(7 / 3)  # not the mean of two means
    assert state.metrics["twice"] == 14.0


def test_plateau_scheduler_sees_the_loss_of_the_epoch():
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.5)
    fit(
        model,
        optimizer,
        lambda model, batch: 1 + 0 * model(batch[0]).mean(),
        (torch.ones(4, 1),),
        TrainConfig(3, 4),
        scheduler=scheduler,
    )
    assert scheduler.best == 1.0
    assert scheduler.get_last_lr() == [0.25]


def test_plateau_scheduler_once_a_step_is_refused():
    run = Run()
    run.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(run.optimizer)
    with pytest.raises(ConfigError, match="scheduler_every"):
        run.fit()


def test_no_epochs_give_the_initial_state(path):
    run, fresh = Run(num_epochs=0), Run()
    state = run.fit(path)
    assert (state.epoch, state.step) == (0, 0)
    assert_same(run, fresh)


def test_loss_that_is_a_module_is_trained_and_kept(path):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, model, batch):
            return (self.scale * model(batch[0]) - 1).square().mean()

    def train(checkpoint, callbacks=()):
        torch.manual_seed(0)
        model, loss = nn.Linear(1, 1), Scaled()
        optimizer = torch.optim.SGD([*model.parameters(), *loss.parameters()], lr=0.1)
        config = TrainConfig(2, 4)
        fit(
            model,
            optimizer,
            loss,
            (torch.ones(8, 1),),
            config,
            checkpoint=checkpoint,
            callbacks=callbacks,
        )
        return loss.scale.item()

    whole = train(None)
    assert whole != 1.0
    with pytest.raises(CrashError):
        train(path, [At(3, crash)])
    assert train(path) == whole


@pytest.mark.parametrize("result", [None, 3.0, {"a": "high"}, {"a": torch.ones(2)}])
def test_evaluate_must_return_numbers(result):
    run = Run()
    run.evaluate = lambda model: result
    with pytest.raises(DtypeError, match="evaluate must return a dictionary of numbers"):
        run.fit()


def test_evaluation_sees_evaluation_mode_without_gradients():
    seen = []
    run = Run(num_epochs=1)
    run.evaluate = lambda model: (
        seen.append((model.training, model[1].training, torch.is_grad_enabled())) or {}
    )
    run.fit()
    assert seen == [(False, False, False)]


def test_foreign_parameter_in_the_optimizer_is_refused():
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD([*model.parameters(), nn.Parameter(torch.ones(5))], lr=0.1)
    with pytest.raises(ConfigError, match=r"1 of its 3 are not, the first of shape \(5,\)"):
        fit(model, optimizer, Run.loss, (torch.ones(1, 1),), TrainConfig(1, 1))


def test_extra_state_without_a_state_is_refused():
    run, config = Run(), TrainConfig(1, 8)
    with pytest.raises(DtypeError, match="'lost' is a list"):
        fit(run.model, run.optimizer, run.loss, run.dataset, config, extra_state={"lost": []})


def test_checkpoint_in_a_folder_or_below_a_file_is_refused_before_training(tmp_path):
    record = Recorder()
    with pytest.raises(ConfigError, match="is a folder"):
        Run().fit(tmp_path, [record])
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        Run().fit(tmp_path / "file" / "last.pt", [record])
    assert record.seen == []
