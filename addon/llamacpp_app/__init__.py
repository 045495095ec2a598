"""The app: downloads models, runs llama-server, and serves a conversation API."""
