"""Gymnasium environments with several objectives."""
