"""Geometry of activation patterns: arrangements of hyperplanes, zonotopes, dual bases."""
