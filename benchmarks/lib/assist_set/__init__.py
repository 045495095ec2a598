"""Sentences said in homes of virtual devices, and what came of them."""
