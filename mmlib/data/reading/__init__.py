"""How files become samples: lists, folders, media, cache, transforms and the base classes."""
