"""Tests of coset.data."""
