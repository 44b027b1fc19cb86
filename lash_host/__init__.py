"""The durable runtime for LLM agents in which every capability is a plugin."""
