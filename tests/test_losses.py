from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from cmaen.losses import Lesson, LossSpec, cmaen_loss, focal_loss, soft_targets  # noqa: E402
from cmaen.models.base import EmotionOutput  # noqa: E402

PAPER = LossSpec(focal=0.3, emotion=0.2, fusion=0.2, label_smoothing=0.1)


def output(logits: torch.Tensor, emotion: torch.Tensor | None, fusion: torch.Tensor | None) -> EmotionOutput:
    return EmotionOutput(logits, emotion, fusion, torch.zeros(1))


def test_focal_loss_by_hand() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.2]]))
    hard = torch.tensor([[1.0, 0.0, 0.0]])
    assert focal_loss(logits, hard, gamma=2).item() == pytest.approx(0.25 * math.log(2))
    assert focal_loss(logits, hard, gamma=0).item() == pytest.approx(math.log(2))
    soft = torch.tensor([[0.6, 0.4, 0.0]])
    expected = 0.6 * 0.1**2 * -math.log(0.5) + 0.4 * 0.1**2 * -math.log(0.3)
    assert focal_loss(logits, soft, gamma=2).item() == pytest.approx(expected)


def test_the_weighted_sum_by_hand() -> None:
    probabilities = torch.full((1, 7), 0.1)
    probabilities[0, 0] = 0.4
    uniform = torch.full((1, 7), 1 / 7)
    target = torch.eye(7)[:1]
    smoothed = (0.9 + 0.1 / 7) * -math.log(0.4) + 6 * (0.1 / 7) * -math.log(0.1)
    expected = smoothed + 0.3 * 0.6**2 * -math.log(0.4) + 0.2 * math.log(7) + 0.2 * -math.log(0.4)
    result = cmaen_loss(output(probabilities.log(), uniform.log(), probabilities.log()), target, PAPER)
    assert result.item() == pytest.approx(expected, rel=1e-5)


def test_without_emotion_heads_their_term_is_gone() -> None:
    logits = torch.zeros(2, 7)
    target = torch.eye(7)[:2]
    plain = LossSpec(emotion=5.0, fusion=0, label_smoothing=0)
    assert cmaen_loss(output(logits, None, logits), target, plain).item() == pytest.approx(math.log(7))
    assert cmaen_loss(output(logits, logits, logits), target, plain).item() == pytest.approx(6 * math.log(7))


def test_votes_are_mixed_into_the_target() -> None:
    labels, votes = torch.tensor([0, 1]), torch.tensor([[0.0, 1.0], [0.5, 0.5]])
    assert torch.equal(soft_targets(labels, 2), torch.eye(2))
    assert torch.allclose(soft_targets(labels, 2, votes, 0.4), torch.tensor([[0.6, 0.4], [0.2, 0.8]]))


def test_teachers_are_learnt_from_at_their_temperature_by_every_classifier() -> None:
    logits = torch.tensor([[2.0, 0.0]])
    target, answers = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.7, 0.3]])
    spec = LossSpec(emotion=0.5, fusion=0, label_smoothing=0)
    lesson = Lesson(answers, share=0.25, temperature=2.0)
    softened = [-math.log(1 / (1 + math.exp(-1))), -math.log(1 / (1 + math.exp(1)))]  # of logits / 2
    one = 0.75 * math.log(1 + math.exp(-2)) + 0.25 * 4 * (0.7 * softened[0] + 0.3 * softened[1])
    assert cmaen_loss(output(logits, logits, logits), target, spec, lesson=lesson).item() == pytest.approx(1.5 * one)
    untaught = cmaen_loss(output(logits, logits, logits), target, spec).item()
    assert untaught == pytest.approx(1.5 * math.log(1 + math.exp(-2)))


def test_at_the_teachers_answer_the_student_rests() -> None:
    teacher = torch.tensor([[1.5, -0.5, 0.25]])
    answers = torch.softmax(teacher / 3, dim=1)
    logits = (teacher + 4).requires_grad_()  # the same distribution
    lesson = Lesson(answers, share=1.0, temperature=3.0)
    cmaen_loss(output(logits, None, None), answers, LossSpec(label_smoothing=0), lesson=lesson).backward()
    assert logits.grad is not None
    assert logits.grad.abs().max().item() < 1e-6


def test_the_focal_loss_rests_where_a_soft_target_is_met() -> None:
    target = torch.tensor([[0.5, 0.3, 0.1, 0.04, 0.03, 0.02, 0.01]])
    met = focal_loss(target.log(), target)
    surer = focal_loss(torch.tensor([[5.0, 0, 0, 0, 0, 0, 0]]), target)
    assert met == pytest.approx(0, abs=1e-6)
    assert surer > 0.1


@pytest.mark.parametrize("gamma", [0.0, 0.01, 0.3, 0.5, 0.99, 1.0, 1.5, 2.0, 5.0])
def test_the_focal_loss_has_a_gradient_for_every_gamma(gamma: float) -> None:
    logits = torch.tensor([[200.0, 0, 0], [0, 200, 0], [1, 2, 3], [0, 0, 0]], requires_grad=True)  # two are certain
    targets = torch.tensor([[1.0, 0, 0], [1, 0, 0], [0.2, 0.3, 0.5], [1 / 3, 1 / 3, 1 / 3]])
    loss = focal_loss(logits, targets, gamma=gamma)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


def test_a_face_without_an_answer_learns_from_its_target_alone() -> None:
    torch.manual_seed(0)
    logits, targets = torch.randn(4, 7), torch.softmax(torch.randn(4, 7), dim=1)
    answers = torch.softmax(torch.randn(4, 7), dim=1)
    spec = LossSpec(emotion=0.2, fusion=0.2, label_smoothing=0.1)
    whole = Lesson(answers, share=0.4, temperature=2.0)

    def loss(rows: slice, lesson: Lesson | None) -> float:
        some = None if lesson is None else lesson._replace(answers=lesson.answers[rows])
        return cmaen_loss(output(*[logits[rows]] * 3), targets[rows], spec, lesson=some).item()

    everybody, first = slice(0, 4), slice(0, 1)
    assert loss(everybody, whole._replace(partial=True)) == pytest.approx(loss(everybody, whole), rel=1e-5)
    lacking = whole._replace(answers=torch.cat([torch.zeros(1, 7), answers[1:]]), partial=True)
    expected = (loss(first, None) + 3 * loss(slice(1, 4), whole)) / 4
    assert loss(everybody, lacking) == pytest.approx(expected, rel=1e-5)
    half = whole._replace(answers=torch.cat([answers[:1] / 2, answers[1:]]), partial=True)  # mixed of both kinds
    assert loss(first, half) == pytest.approx((loss(first, whole) + loss(first, None)) / 2, rel=1e-5)
