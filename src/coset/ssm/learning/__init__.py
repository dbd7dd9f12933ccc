"""Learning from scratch to exact: layers by gradient, snapped to roots of unity, then certified."""

from coset.ssm.learning.certificate import LearnedCertificate, certify
from coset.ssm.learning.learned import LearnedTracker
from coset.ssm.learning.recipe import Recipe
from coset.ssm.learning.report import LearningReport, StageReport
from coset.ssm.learning.search import learn_tracker
from coset.ssm.learning.sources import GroupWords, MachineWords, StoredWords, WordSource

__all__ = [
    "GroupWords",
    "LearnedCertificate",
    "LearnedTracker",
    "LearningReport",
    "MachineWords",
    "Recipe",
    "StageReport",
    "StoredWords",
    "WordSource",
    "certify",
    "learn_tracker",
]
