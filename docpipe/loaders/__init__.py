"""Documents for the frameworks of retrieval: one thin file each, for whoever has that framework installed."""
