"""The parts that scenes are made of: outlines, colours, charts, pages, textures, words."""
