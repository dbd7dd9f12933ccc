"""Local inconsistency resolution: look at some beliefs, move some of them, repeat.

Begin with `lir` (the loop), then `focus` and `control` (what is attended, what may move), `trace`
(what happened), `attended` (the value and its gradient), `integrators` and `argmin` (how far).
"""
