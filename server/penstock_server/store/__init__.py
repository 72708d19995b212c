"""The only room that knows Redis: keys, scripts, batchers, and what they answer as records."""
