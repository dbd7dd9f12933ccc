"""Decision processes with several objectives, on arrays, in files, and what they hide.

Begin with `mdp` (arrays) and `level` (one objective of it, given those above). `mdp_fields`,
`mdp_arrays` and `mdp_sources` check and build the arrays, `mdp_file` with `mdp_json` and `mdp_npz`
read and write them, `rational` holds fractions, `objectives` makes rewards of a Gymnasium map.
`gauge`, `potential` and `returns` tell which rewards mean the same; `policy_outcome` says what a
policy attains.
"""
