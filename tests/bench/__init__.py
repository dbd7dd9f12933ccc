"""Tests of coset.bench."""
