"""Solving decision processes: one objective, several in order, exactly, under constraints.

Begin with `solving` (`solve` and its options), then `lexicographic` (level after level), `ties`
and `certificate` (what is proved). A level that dies out is solved by `scalar`, which chooses
among `iterate`, `policy_iteration` and `linear_program` with `bounds` and `transience`; one that
does not by `undiscounted` with `end_components`, `pair_problem` and `admissible`. `rational_*` do
the same in fractions; `bellman` and `sweepers` are the inner loops. Beside these stand `cmdp`,
`orders`, `risk`, `signed`, `batch_solver` and `evaluation`.
"""
