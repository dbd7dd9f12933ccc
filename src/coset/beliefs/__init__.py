"""How inconsistent beliefs are, where it hurts, and how to resolve it.

State beliefs with confidences (`PDG`), find their inconsistency with a certificate (`solve`), the
beliefs to blame (`blame`), its gradient (`inconsistency`), and resolve it by attention and control
(`lir`, `foci`). Papers: O. Richardson, M. Samiei, M. Shakerinava et al., "Local Inconsistency
Resolution", AISTATS 2026 [lir]; O. Richardson, J. Y. Halpern, "Probabilistic Dependency Graphs",
AAAI 2021, on which it stands.
"""

from __future__ import annotations

from coset.beliefs import divergences, foci, gflow, losses
from coset.beliefs.attention import (
    Attention,
)
from coset.beliefs.blame import (
    ArcBlame,
    Blame,
    Disagreement,
    blame,
)
from coset.beliefs.errors import (
    NonConvexError,
    NotNormalizedError,
    UnboundedInconsistencyError,
    WidthError,
)
from coset.beliefs.infer import (
    infer,
)
from coset.beliefs.joint import (
    DenseJoint,
    Joint,
    ProductJoint,
)
from coset.beliefs.pdg.arc import (
    Arc,
)
from coset.beliefs.pdg.bayes_net import (
    from_bayes_net,
    read_bif,
    write_bif,
)
from coset.beliefs.pdg.factor_graph import (
    from_factor_graph,
)
from coset.beliefs.pdg.graph import (
    PDG,
)
from coset.beliefs.pdg.networkx_graph import (
    to_networkx,
)
from coset.beliefs.pdg.pdg_file import (
    read_beliefs,
    read_pdg,
    write_pdg,
)
from coset.beliefs.pdg.variable import (
    Variable,
)
from coset.beliefs.reference import (
    mirror_descent_reference,
    score_reference,
)
from coset.beliefs.resolve.control import (
    Control,
)
from coset.beliefs.resolve.focus import (
    Focus,
)
from coset.beliefs.resolve.lir import (
    lir,
)
from coset.beliefs.resolve.trace import (
    Trace,
    TraceStep,
)
from coset.beliefs.solution import (
    InconsistencySolution,
)
from coset.beliefs.solvers.certificate import (
    InconsistencyCertificate,
)
from coset.beliefs.solvers.convexity import (
    convexity_probe,
)
from coset.beliefs.solvers.envelope import (
    inconsistency,
)
from coset.beliefs.solvers.score import (
    incompatibility,
    score,
    structural_deficiency,
)
from coset.beliefs.solvers.solve import (
    solve,
)
from coset.beliefs.tree.certificate import (
    TreeCertificate,
)
from coset.beliefs.tree.joint import (
    TreeJoint,
)
from coset.beliefs.tree.network import (
    JunctionTree,
)

__all__ = [
    "PDG",
    "Arc",
    "ArcBlame",
    "Attention",
    "Blame",
    "Control",
    "DenseJoint",
    "Disagreement",
    "Focus",
    "InconsistencyCertificate",
    "InconsistencySolution",
    "Joint",
    "JunctionTree",
    "NonConvexError",
    "NotNormalizedError",
    "ProductJoint",
    "Trace",
    "TraceStep",
    "TreeCertificate",
    "TreeJoint",
    "UnboundedInconsistencyError",
    "Variable",
    "WidthError",
    "blame",
    "convexity_probe",
    "divergences",
    "foci",
    "from_bayes_net",
    "from_factor_graph",
    "gflow",
    "incompatibility",
    "inconsistency",
    "infer",
    "lir",
    "losses",
    "mirror_descent_reference",
    "read_beliefs",
    "read_bif",
    "read_pdg",
    "score",
    "score_reference",
    "solve",
    "structural_deficiency",
    "to_networkx",
    "write_bif",
    "write_pdg",
]
