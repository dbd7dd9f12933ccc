"""Decision processes with several objectives, on arrays, in files, and what they hide."""
