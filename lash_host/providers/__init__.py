"""Model providers that come with the host."""
