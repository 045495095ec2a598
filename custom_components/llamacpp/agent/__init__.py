"""What a turn is: from Home Assistant's chat log to the server's messages, and back."""
