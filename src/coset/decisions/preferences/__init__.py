"""Lotteries, utilities and models of people."""
