"""Llama.cpp for Home Assistant: a private language model as conversation agent."""
