"""What the server tells about itself: log lines, metrics, spans. Knows none of the other rooms."""
