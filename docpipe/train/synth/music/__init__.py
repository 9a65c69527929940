"""Random music that could have been written: rhythm, texture and signs drawn from measured distributions, no melodies."""
