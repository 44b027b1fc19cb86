"""What the runtime needs from others: prose plus signatures, so that an implementer needs no other file."""
