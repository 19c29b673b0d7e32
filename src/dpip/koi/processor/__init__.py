"""The knowledge processing pipeline: objects, handlers, phases, and what drives them."""
