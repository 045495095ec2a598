"""The folder that Home Assistant looks for custom integrations in."""
