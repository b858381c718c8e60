"""Image files: kinds, damage, orientation and pixels, by the same rules in all parts of Labelwright."""
