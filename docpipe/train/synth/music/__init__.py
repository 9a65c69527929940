"""Random music that could have been written: rhythm, texture and signs by measured frequencies, no melodies."""
